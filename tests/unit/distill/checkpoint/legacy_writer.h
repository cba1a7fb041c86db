// Writes what torch.save does in its old format, for tests that need a .pth of given weights.
#pragma once

#include <torch/types.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "distill/tensors/safetensors.h"

namespace reflux {

class LegacyWriter {
 public:
  // Of contiguous float32 and int64 tensors, under the key "state_dict".
  explicit LegacyWriter(const NamedTensors& state) {
    std::string object = "\x80\x02}(" + Text("epoch") + "K\x09" + Text("state_dict") + "}(";
    std::string keys = "\x80\x02](", data;
    for (const auto& [name, tensor] : state) {
      const torch::Tensor values = tensor.detach().contiguous();
      const std::string key = absl::StrCat("key", count_++);
      object += Text(name) + Rebuild(values, key);
      keys += Text(key);
      data += Raw(values.numel(), 8);
      data.append(static_cast<const char*>(values.data_ptr()), values.nbytes());
    }
    const std::string system = "\x80\x02}" + Text("little_endian") + "\x88s.";
    bytes_ = std::string(
                 "\x80\x02\x8a\x0al\xfc\x9c"
                 "F\xf9 j\xa8P\x19.") +
             "\x80\x02" + "M\xe9\x03." + system + object + "uu." + keys + "e." + data;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  static std::string Raw(uint64_t value, size_t bytes) {
    return std::string(reinterpret_cast<const char*>(&value), bytes);
  }
  static std::string Text(const std::string& text) { return "X" + Raw(text.size(), 4) + text; }
  static std::string Number(int64_t value) { return "J" + Raw(static_cast<uint32_t>(value), 4); }
  static std::string Numbers(torch::IntArrayRef values) {
    std::string tuple = "(";
    for (const int64_t value : values) tuple += Number(value);
    return tuple + "t";
  }
  static std::string Rebuild(const torch::Tensor& values, const std::string& key) {
    const std::string storage =
        values.scalar_type() == torch::kInt64 ? "LongStorage" : "FloatStorage";
    return "ctorch._utils\n_rebuild_tensor_v2\n((" + Text("storage") + "ctorch\n" + storage + "\n" +
           Text(key) + Text("cpu") + Number(values.numel()) + "NtQK" + std::string(1, '\0') +
           Numbers(values.sizes()) + Numbers(values.strides()) + "\x89NtR";
  }
  int count_ = 0;
  std::string bytes_;
};

inline std::string LegacyTorchFile(const NamedTensors& state) {
  return LegacyWriter(state).bytes();
}

}  // namespace reflux
