#include "distill/codec/value_bytes.h"

namespace reflux {

torch::Tensor ValueBytes(const std::vector<torch::Tensor>& parts) {
  std::vector<torch::Tensor> bytes;
  for (const torch::Tensor& part : parts) {
    bytes.push_back(part.contiguous().flatten().view(torch::kUInt8));
  }
  return bytes.size() == 1 ? bytes[0] : torch::cat(bytes);
}

absl::string_view ViewBytes(const torch::Tensor& value) {
  return {static_cast<const char*>(value.data_ptr()), value.nbytes()};
}

}  // namespace reflux
