#include "common/targets/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  using Part = google::protobuf::Message* (*)(v1::FetchRequest&);
  for (const Part part : {
           Part([](auto& r) -> google::protobuf::Message* { return r.mutable_teacher(); }),
           Part([](auto& r) -> google::protobuf::Message* {
             return r.mutable_teacher()->mutable_preprocessing();
           }),
           Part([](auto& r) -> google::protobuf::Message* {
             return r.mutable_teacher()->mutable_numerics();
           }),
           Part([](auto& r) -> google::protobuf::Message* {
             return r.mutable_samples(0)->mutable_view();
           }),
           Part([](auto& r) -> google::protobuf::Message* { return r.mutable_specs(0); }),
       }) {
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

}  // namespace
}  // namespace reflux
