#include "common/targets/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
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

TEST(Wire, NamesTheFieldThatIsBeyondItsBound) {
  using Change = void (*)(v1::FetchRequest&);
  const std::pair<const char*, Change> changes[] = {
      {"1024 samples",
       [](auto& r) {
         while (r.samples_size() < 1025) *r.add_samples() = r.samples(0);
       }},
      {"16 specs",
       [](auto& r) {
         while (r.specs_size() < 17) *r.add_specs() = r.specs(0);
       }},
      {"samples: a request has", [](auto& r) { r.clear_samples(); }},
      {"specs.tap", [](auto& r) { r.mutable_specs(0)->set_tap(std::string(129, 'a')); }},
      {"specs.codec", [](auto& r) { r.mutable_specs(0)->set_codec(v1::Codec(777)); }},
      {"specs.reduction", [](auto& r) { r.mutable_specs(0)->set_reduction(v1::Reduction(777)); }},
      {"samples.locator", [](auto& r) { r.mutable_samples(0)->set_path(std::string(1025, 'a')); }},
      {"samples.image",
       [](auto& r) { r.mutable_samples(0)->set_image(std::string(65 << 20, 'a')); }},
      {"view: sides", [](auto& r) { r.mutable_samples(0)->mutable_view()->set_crop_width(-1); }},
      {"is over",
       [](auto& r) {
         r.mutable_samples(0)->mutable_view()->set_resized_height(16384);
         r.mutable_samples(0)->mutable_view()->set_resized_width(16384);
       }},
      {"decode_shrink",
       [](auto& r) { r.mutable_samples(0)->mutable_view()->set_decode_shrink(3); }},
      {"threads and batch",
       [](auto& r) { r.mutable_teacher()->mutable_numerics()->set_batch(1 << 30); }},
      {"numerics.compute",
       [](auto& r) { r.mutable_teacher()->mutable_numerics()->set_compute(v1::ComputeDType(9)); }},
      {"divisor", [](auto& r) { r.mutable_teacher()->mutable_preprocessing()->set_divisor(0); }},
  };
  for (const auto& [field, change] : changes) {
    v1::FetchRequest request = Request();
    change(request);
    const absl::Status status = FromProto(std::move(request)).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << field << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(field));
  }
}

}  // namespace
}  // namespace reflux
