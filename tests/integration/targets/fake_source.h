// A TargetSource whose answers a test scripts, and a sink that keeps them.
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "common/base/mutex.h"
#include "common/targets/target.h"

namespace reflux {

class FakeSource : public TargetSource {
 public:
  using Answer = std::function<absl::StatusOr<EncodedTarget>(const SampleRef&, const TargetSpec&)>;
  explicit FakeSource(Answer answer, const TeacherIdentity& teacher = {})
      : teacher_(teacher), answer_(std::move(answer)) {}

  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override {
    Answer answer;
    {
      MutexLock lock(mutex_);
      ++fetches_;
      cancellation_ = context.cancellation;
      if (!refusal_.ok()) return refusal_;
      answer = answer_;
    }
    for (size_t i = 0; i < request.samples.size(); ++i) {
      for (size_t j = 0; j < request.specs.size(); ++j) {
        sink.Deliver(i, j, answer(request.samples[i], request.specs[j]));
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext&) override {
    return TeacherInfo{
        .identity = teacher_, .model = "fake", .num_classes = 11, .taps = {{"logits", 11, 8}}};
  }

  void Refuse(absl::Status status) {
    MutexLock lock(mutex_);
    refusal_ = std::move(status);
  }
  // Within an answer: blocks until the call that it belongs to is over.
  void AwaitCancelled() {
    std::shared_ptr<Cancellation> cancellation;
    {
      MutexLock lock(mutex_);
      cancellation = cancellation_;
    }
    reflux::AwaitCancelled({cancellation.get()});
  }
  int fetches() const {
    MutexLock lock(mutex_);
    return fetches_;
  }

 private:
  mutable Mutex mutex_;
  const TeacherIdentity teacher_;
  std::shared_ptr<Cancellation> cancellation_ REFLUX_GUARDED_BY(mutex_);
  Answer answer_ REFLUX_GUARDED_BY(mutex_);
  absl::Status refusal_ REFLUX_GUARDED_BY(mutex_);
  int fetches_ REFLUX_GUARDED_BY(mutex_) = 0;
};

class CollectingSink : public TargetSink {
 public:
  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
    ++deliveries;
    targets.insert_or_assign(std::make_pair(sample, spec), std::move(target));
  }
  std::map<std::pair<size_t, size_t>, absl::StatusOr<EncodedTarget>> targets;
  int deliveries = 0;
};

// A request for `samples` distinct images and the given taps.
inline TargetRequest MakeRequest(int samples, std::vector<std::string> taps) {
  TargetRequest request;
  request.teacher.digest = Sha256::Of("teacher");
  for (int i = 0; i < samples; ++i) {
    const std::string name = "image" + std::to_string(i);
    request.samples.push_back(
        {.digest = Sha256::Of(name),
         .view = {.resized_height = 8, .resized_width = 8, .crop_height = 8, .crop_width = 8},
         .locator = {"set", name}});
  }
  for (const std::string& tap : taps) request.specs.push_back({.tap = tap});
  return request;
}

// A map of `elements` float32 zeros, its first byte taken from the sample's digest.
inline EncodedTarget MakeTarget(const SampleRef& sample, int32_t elements) {
  std::string bytes(size_t{4} * elements, '\0');
  bytes[0] = static_cast<char>(sample.digest.bytes[0]);
  return EncodedTarget::FromBytes(std::move(bytes), DType::kFloat32, Codec::kFp32,
                                  {1, 1, elements});
}

}  // namespace reflux
