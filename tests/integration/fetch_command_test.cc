// `reflux fetch` against a real cache server and the teacher service, over gRPC.
#include "cli/fetch_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>
#include <sstream>

#include "cache/cache_server.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"
#include "common/rpc/server.h"
#include "common/targets/remote_source.h"
#include "common/targets/target_service.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

struct Tensors {
  nlohmann::json header;
  std::string data;
};

Tensors Parse(const std::string& path) {
  const auto file = ReadFile(path, 1 << 20);
  EXPECT_TRUE(file.ok()) << file.status();
  const size_t length = static_cast<uint8_t>((*file)[0]) + 256 * static_cast<uint8_t>((*file)[1]);
  return {nlohmann::json::parse(file->substr(8, length)), file->substr(8 + length)};
}

class FetchCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    service_ = MakeTargetService(teacher_, {}, {});
    teacher_server_ =
        *RpcServer::Start({.max_receive_bytes = kTargetServiceMaxReceiveBytes}, {service_.get()});
    cache_ = *CacheServer::Start({.store = {.directory = path("cache"), .min_free_disk_bytes = 0},
                                  .teacher = teacher_server_->address()},
                                 nullptr);
    ASSERT_TRUE(cv::imwrite(path("a.png"), cv::Mat(24, 32, CV_8UC3, cv::Scalar(1, 2, 3))));
    flags_ = {.server = cache_->address(), .image = path("a.png"), .output = path("a.safetensors")};
  }
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }

  // What the teacher says about the image at a view, in fp32.
  EncodedTarget Expected(const View& view) {
    TargetRequest request = FakeRequest(1);
    request.samples[0].digest = Sha256::Of(*ReadFile(path("a.png"), 1 << 20));
    request.samples[0].view = view;
    return teacher_.Expected(request, 0);
  }
  static View Whole() {
    return {.resized_height = 24, .resized_width = 32, .crop_height = 24, .crop_width = 32};
  }
  int Fetch() {
    out_.str("");
    err_.str("");
    return FetchTarget(terminal_, flags_);
  }

  TemporaryFolder folder_;
  FakeTeacher teacher_;
  std::unique_ptr<v1::TargetService::Service> service_;
  std::unique_ptr<RpcServer> teacher_server_;
  std::unique_ptr<CacheServer> cache_;
  FetchFlags flags_;
  std::ostringstream out_, err_;
  Terminal terminal_{out_, err_};
};

TEST_F(FetchCommandTest, WritesTheTargetOfTheWholeImage) {
  ASSERT_EQ(Fetch(), kExitDone) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("a.safetensors: logits [1, 1, 16] F32, 64 B"));
  const Tensors tensors = Parse(flags_.output);
  EXPECT_EQ(tensors.data, Expected(Whole()).bytes);
  EXPECT_EQ(tensors.header["logits"]["shape"], (std::vector<int>{1, 1, 16}));
  EXPECT_EQ(tensors.header["logits"]["dtype"], "F32");
  const auto& metadata = tensors.header["__metadata__"];
  EXPECT_EQ(metadata["view"], "24x32/24x32+0+0");
  EXPECT_EQ(metadata["teacher"], FakeIdentity().digest.Hex());
  EXPECT_EQ(metadata["codec"], "fp32");
}

TEST_F(FetchCommandTest, FindsTheSetByAShortNameAndNeedsNoTeacherThen) {
  ASSERT_EQ(Fetch(), kExitDone) << err_.str();
  teacher_.set_refusal(absl::UnavailableError("away"));
  flags_.set = "unnamed/fk@" + FakeIdentity().digest.Short().substr(0, 4);
  ASSERT_EQ(Fetch(), kExitDone) << err_.str();
  EXPECT_EQ(Parse(flags_.output).data, Expected(Whole()).bytes);
  EXPECT_EQ(teacher_.targets(), 1);
  flags_.set = "unnamed/r101";
  EXPECT_EQ(Fetch(), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("there are\n  unnamed/fake@"));
}

TEST_F(FetchCommandTest, TakesAViewAndSendsTheImageWhenItIsNeeded) {
  teacher_.set_hook([](const FetchContext&, const SampleRef& sample, const TargetSpec&) {
    return sample.image == nullptr ? SampleNeededError(sample) : absl::OkStatus();
  });
  flags_.view = "48x64/8x8+1+2/flip";
  ASSERT_EQ(Fetch(), kExitDone) << err_.str();
  const View view{.resized_height = 48,
                  .resized_width = 64,
                  .crop_y = 1,
                  .crop_x = 2,
                  .crop_height = 8,
                  .crop_width = 8,
                  .flip = true};
  EXPECT_EQ(Parse(flags_.output).data, Expected(view).bytes);
}

TEST_F(FetchCommandTest, AsksATeacherServerToo) {
  flags_.server = teacher_server_->address();
  ASSERT_EQ(Fetch(), kExitDone) << err_.str();
  EXPECT_EQ(Parse(flags_.output).data, Expected(Whole()).bytes);
  flags_.set = "camvid/r101";
  EXPECT_EQ(Fetch(), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("leave --set out"));
}

TEST_F(FetchCommandTest, SaysWhatIsWrong) {
  flags_.view = "nonsense";
  EXPECT_EQ(Fetch(), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("view 'nonsense'"));
  flags_.view.clear();
  flags_.image = path("none.png");
  EXPECT_EQ(Fetch(), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("none.png"));
  ASSERT_TRUE(WriteFileAtomically(path("text.png"), "no image").ok());
  flags_.image = path("text.png");
  EXPECT_EQ(Fetch(), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("text.png"));
  flags_.image = path("a.png");
  flags_.codec = "fp17";
  EXPECT_EQ(Fetch(), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("unknown codec 'fp17'"));
}

}  // namespace
}  // namespace reflux
