// What the tests of the cache share: small targets, requests, a teacher made of arithmetic.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/targets/target.h"
#include "common/targets/target_key.h"

namespace reflux {

// An empty folder below testing::TempDir() that exists nowhere else; removed with its content.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TeacherIdentity FakeIdentity(const std::string& name = "teacher");
SampleRef FakeSample(int number);
// fp32, shape [1, 1, elements]; its bytes depend on `seed` alone.
EncodedTarget FakeTarget(int seed, int32_t elements = 16);
// `samples` samples beginning at number `first`, logits and, with two specs, aspp.
TargetRequest FakeRequest(int samples, int specs = 1, int first = 0);
TargetKey KeyOf(const TargetRequest& request, size_t sample, size_t spec = 0);
TargetOrigin OriginOf(const TargetRequest& request, size_t sample);
TargetSet SetOf(const TargetRequest& request, size_t spec = 0);

// Keeps what was delivered, and fails the test when a target comes twice.
class CollectingSink : public TargetSink {
 public:
  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override;
  const absl::StatusOr<EncodedTarget>& at(size_t sample, size_t spec = 0) const {
    return targets_.at({sample, spec});
  }
  size_t size() const { return targets_.size(); }
  bool AllOk() const;

 private:
  std::map<std::pair<size_t, size_t>, absl::StatusOr<EncodedTarget>> targets_;
};

// A teacher that answers every (sample, spec) with bytes that depend on its key, and refuses
// requests for another teacher. Thread-safe.
class FakeTeacher : public TargetSource {
 public:
  struct Call {
    size_t samples, specs;
  };
  // Called for each target before it is delivered; a failed status is delivered instead.
  using Hook =
      std::function<absl::Status(const FetchContext&, const SampleRef&, const TargetSpec&)>;

  explicit FakeTeacher(int32_t elements = 16, const TeacherIdentity& identity = FakeIdentity())
      : elements_(elements), identity_(identity) {}

  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override;
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override;

  void set_hook(Hook hook);
  // Refuses whole requests, and GetTeacherInfo, from now on; OK to answer again.
  void set_refusal(absl::Status status);
  std::vector<Call> calls() const;
  int64_t targets() const { return targets_; }
  // What Fetch answers for this pair.
  EncodedTarget Expected(const TargetRequest& request, size_t sample, size_t spec = 0) const;

 private:
  const int32_t elements_;
  const TeacherIdentity identity_;
  std::atomic<int64_t> targets_{0};
  mutable Mutex mutex_;
  Hook hook_ REFLUX_GUARDED_BY(mutex_);
  absl::Status refusal_ REFLUX_GUARDED_BY(mutex_);
  std::vector<Call> calls_ REFLUX_GUARDED_BY(mutex_);
};

}  // namespace reflux
