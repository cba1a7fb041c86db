#include "tests/contract/cache_fixtures.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

// Small whole numbers as floats: equal bytes for an equal seed.
std::string FakeBytes(uint32_t seed, int32_t elements) {
  std::string bytes(static_cast<size_t>(elements) * 4, '\0');
  for (int32_t i = 0; i < elements; ++i) {
    const auto value = static_cast<float>((seed + static_cast<uint32_t>(i) * 7) % 1000);
    std::memcpy(bytes.data() + 4 * static_cast<size_t>(i), &value, 4);
  }
  return bytes;
}

}  // namespace

TemporaryFolder::TemporaryFolder() : path_(testing::TempDir() + "reflux-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "no temporary folder " << path_;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

TeacherIdentity FakeIdentity(const std::string& name) { return {.digest = Sha256::Of(name)}; }

SampleRef FakeSample(int number) {
  return {.digest = Sha256::Of(absl::StrCat("image ", number)),
          .view = {.resized_height = 8, .resized_width = 8, .crop_height = 8, .crop_width = 8},
          .locator = {"fake", absl::StrCat("train/", number, ".png")}};
}

EncodedTarget FakeTarget(int seed, int32_t elements) {
  return EncodedTarget::FromBytes(FakeBytes(static_cast<uint32_t>(seed), elements), DType::kFloat32,
                                  Codec::kFp32, {1, 1, elements});
}

TargetRequest FakeRequest(int samples, int specs, int first) {
  TargetRequest request{.teacher = FakeIdentity()};
  for (int i = 0; i < samples; ++i) request.samples.push_back(FakeSample(first + i));
  for (int i = 0; i < specs; ++i) request.specs.push_back({.tap = i == 0 ? "logits" : "aspp"});
  return request;
}

TargetKey KeyOf(const TargetRequest& request, size_t sample, size_t spec) {
  return MakeTargetKey(request.teacher, request.samples[sample], request.specs[spec]);
}

TargetOrigin OriginOf(const TargetRequest& request, size_t sample) {
  return {request.samples[sample].digest, request.samples[sample].view, {}};
}

TargetSet SetOf(const TargetRequest& request, size_t spec) {
  return {.dataset = request.samples[0].locator.dataset,
          .teacher = request.teacher,
          .spec = request.specs[spec],
          .model = "fake"};
}

void CollectingSink::Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) {
  const bool first = targets_.emplace(std::make_pair(sample, spec), std::move(target)).second;
  EXPECT_TRUE(first) << "sample " << sample << " spec " << spec << " came twice";
}

bool CollectingSink::AllOk() const {
  for (const auto& [index, target] : targets_) {
    if (!target.ok()) return false;
  }
  return !targets_.empty();
}

absl::Status FakeTeacher::Fetch(const FetchContext& context, const TargetRequest& request,
                                TargetSink& sink) {
  if (request.teacher != identity_) return absl::FailedPreconditionError("another teacher");
  Hook hook;
  {
    MutexLock lock(mutex_);
    if (!refusal_.ok()) return refusal_;
    calls_.push_back({request.samples.size(), request.specs.size()});
    hook = hook_;
  }
  for (size_t sample = 0; sample < request.samples.size(); ++sample) {
    for (size_t spec = 0; spec < request.specs.size(); ++spec) {
      absl::Status status = context.Check();
      if (status.ok() && hook) status = hook(context, request.samples[sample], request.specs[spec]);
      if (!status.ok()) {
        sink.Deliver(sample, spec, status);
        continue;
      }
      ++targets_;
      sink.Deliver(sample, spec, Expected(request, sample, spec));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<TeacherInfo> FakeTeacher::GetTeacherInfo(const FetchContext&) {
  MutexLock lock(mutex_);
  if (!refusal_.ok()) return refusal_;
  return TeacherInfo{.identity = identity_,
                     .model = "fake",
                     .num_classes = 11,
                     .taps = {{"logits", 11, 8}},
                     .images_inferred = targets_,
                     .build_version = "test"};
}

void FakeTeacher::set_hook(Hook hook) {
  MutexLock lock(mutex_);
  hook_ = std::move(hook);
}

void FakeTeacher::set_refusal(absl::Status status) {
  MutexLock lock(mutex_);
  refusal_ = std::move(status);
}

std::vector<FakeTeacher::Call> FakeTeacher::calls() const {
  MutexLock lock(mutex_);
  return calls_;
}

EncodedTarget FakeTeacher::Expected(const TargetRequest& request, size_t sample,
                                    size_t spec) const {
  return FakeTarget(KeyOf(request, sample, spec).digest.bytes[0], elements_);
}

}  // namespace reflux
