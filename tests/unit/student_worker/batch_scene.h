// Batches of a tiny data set whose targets come in every codec from a source that draws them.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "distill/data/manifest.h"
#include "student_worker/batch_maker.h"
#include "tests/integration/targets/fake_source.h"
#include "tests/support/tiny_data_sets.h"
#include "tests/unit/student_worker/codec_cases.h"

namespace reflux {

class BatchScene {
 public:
  // Maps have `channels` (a multiple of 4) and one position for `stride` pixels.
  BatchScene(const std::string& name, int32_t stride, int64_t channels)
      : root_(testing::TempDir() + "reflux_" + name),
        stride_(stride),
        source_([=](const SampleRef& sample, const TargetSpec& spec) {
          const View& view = sample.view;
          const uint64_t seed = sample.digest.bytes[0] * 512 + view.crop_x * 2 + view.flip;
          const torch::Tensor map = DrawnMap(seed, (view.crop_height - 1) / stride + 1,
                                             (view.crop_width - 1) / stride + 1);
          return EncodeMap(map.repeat({channels / 4, 1, 1}), spec.codec);
        }) {
    std::filesystem::remove_all(root_);
    WriteTinyDataSet("camvid", root_ + "/images", 48, 64);
    dataset_ = OpenDataset({.format = "camvid", .root = root_ + "/images"}).value();
    digests_.images = SampleDigests(*dataset_, root_ + "/manifests").value();
    for (const Codec codec : EveryCodec())
      specs_.push_back({.tap = "tap_" + Name(codec), .codec = codec});
  }
  ~BatchScene() { std::filesystem::remove_all(root_); }

  // `whole`: maps are derived from those of whole images.
  std::unique_ptr<BatchMaker> Maker(const BatchForm& form, bool whole = false) {
    BatchMakerOptions options{.form = form};
    options.views.whole = whole;
    options.views.crop_height = 32, options.views.crop_width = 48;
    options.stream = {
        .samples = static_cast<int64_t>(dataset_->samples().size()), .global_batch = 2, .seed = 3};
    options.teachers = {{.name = "default",
                         .source = &source_,
                         .specs = specs_,
                         .strides = std::vector<int32_t>(specs_.size(), stride_)}};
    return std::make_unique<BatchMaker>(*dataset_, digests_, options);
  }

 private:
  const std::string root_;
  const int32_t stride_;
  FakeSource source_;
  std::unique_ptr<Dataset> dataset_;
  SampleIdentities digests_;
  std::vector<TargetSpec> specs_;
};

// What a step takes of a batch, by name.
using DeviceBatch = std::map<std::string, torch::Tensor>;

inline DeviceBatch OnDevice(const Batch& batch, const torch::Device& device) {
  DeviceBatch tensors = {{"images", Sent(batch.images, device)},
                         {"labels", Sent(batch.labels, device).to(torch::kFloat32)}};
  for (const auto& [name, maps] : batch.targets.at("default"))
    tensors[name] = Widened(maps, device, torch::kFloat32);
  return tensors;
}

inline void ExpectSameBits(const DeviceBatch& batch, const DeviceBatch& expected) {
  ASSERT_EQ(batch.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    SCOPED_TRACE(name);
    ExpectSameBits(batch.at(name), tensor);
  }
}

}  // namespace reflux
