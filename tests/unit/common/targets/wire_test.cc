#include "common/targets/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <utility>

#include "common/base/digest.h"

namespace reflux {
namespace {

using testing::HasSubstr;

v1::FetchRequest Request() {
  const View view{.resized_height = 90, .resized_width = 120, .crop_height = 64, .crop_width = 64};
  TargetRequest request;
  request.teacher.digest = Sha256::Of("teacher");
  request.samples = {{.digest = Sha256::Of("image"), .view = view, .locator = {"camvid", "a.jpg"}}};
  request.specs = {{.tap = "logits"}};
  return ToProto(request, Priority::kStudent);
}

// What a later version would send.
void AddField(google::protobuf::Message* message) {
  message->GetReflection()->MutableUnknownFields(message)->AddVarint(70, 2);
}

TEST(Wire, RefusesAFieldThatMayMakeItAnotherTarget) {
  ASSERT_TRUE(FromProto(Request()).ok());
  using Part = std::function<google::protobuf::Message*(v1::FetchRequest&)>;
  const Part parts[] = {
      [](auto& r) { return r.mutable_teacher(); },
      [](auto& r) { return r.mutable_teacher()->mutable_preprocessing(); },
      [](auto& r) { return r.mutable_teacher()->mutable_numerics(); },
      [](auto& r) { return r.mutable_samples(0)->mutable_view(); },
      [](auto& r) { return r.mutable_specs(0); },
  };
  for (const Part& part : parts) {
    v1::FetchRequest request = Request();
    google::protobuf::Message* message = part(request);
    AddField(message);
    const std::string name = message->GetDescriptor()->name();
    const absl::Status status = FromProto(std::move(request)).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(name + ": field 70 is not known"));
  }
}

TEST(Wire, IgnoresAFieldThatOnlySaysHowToAnswer) {
  v1::FetchRequest request = Request();
  AddField(&request);
  EXPECT_TRUE(FromProto(std::move(request)).ok());
}

// Bounds of requests: tests/integration/request_bounds_test.cc.
TEST(Wire, NamesWhatOfATeachersAnswerIsBeyondItsBound) {
  using Change = void (*)(v1::TeacherInfo&);
  const std::pair<const char*, Change> changes[] = {
      {"teacher info: too many taps",
       [](auto& info) {
         while (info.taps_size() <= 4096) info.add_taps();
       }},
      {"taps.name", [](auto& info) { info.add_taps()->set_name(std::string(129, 'a')); }},
      {"taps.channels", [](auto& info) { info.add_taps()->set_channels(-1); }},
      {"taps.channels", [](auto& info) { info.add_taps()->set_channels(1 << 30); }},
      {"taps.stride", [](auto& info) { info.add_taps()->set_stride(1 << 30); }},
      {"num_classes", [](auto& info) { info.set_num_classes(1 << 30); }},
      {"images_inferred", [](auto& info) { info.set_images_inferred(-1); }},
      {"miou", [](auto& info) { info.set_miou(std::numeric_limits<double>::quiet_NaN()); }},
      {"a digest has 32 bytes", [](auto& info) { info.mutable_identity()->clear_digest(); }},
      {"numerics.mode",
       [](auto& info) {
         info.mutable_identity()->mutable_numerics()->set_mode(v1::NumericsMode(3));
       }},
      {"preprocessing.mean",
       [](auto& info) {
         info.mutable_identity()->mutable_preprocessing()->set_mean(
             0, std::numeric_limits<double>::quiet_NaN());
       }},
  };
  const v1::TeacherInfo good = ToProto(TeacherInfo{.identity = {.digest = Sha256::Of("teacher")}});
  ASSERT_TRUE(FromProto(good).ok());
  for (const auto& [field, change] : changes) {
    v1::TeacherInfo info = good;
    change(info);
    const absl::Status status = FromProto(info).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << field << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(field));
  }
}

}  // namespace
}  // namespace reflux
