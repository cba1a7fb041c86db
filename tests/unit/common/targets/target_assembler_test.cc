#include "common/targets/target_assembler.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace reflux {
namespace {

using Index = std::pair<size_t, size_t>;

// Offers the places it was given, and keeps what is delivered.
class PlacingSink : public TargetSink {
 public:
  char* Place(size_t sample, size_t spec, const EncodedTarget& coming, size_t size) override {
    EXPECT_TRUE(coming.bytes.empty());
    EXPECT_NE(coming.checksum, 0u);
    asked_size = size;
    const auto place = places.find({sample, spec});
    return place == places.end() ? nullptr : place->second;
  }
  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
    targets.insert_or_assign({sample, spec}, std::move(target));
  }
  std::map<Index, char*> places;
  std::map<Index, absl::StatusOr<EncodedTarget>> targets;
  void DeliverLocation(size_t, size_t, const EncodedTarget& coming,
                       const TargetLocation& there) override {
    EXPECT_EQ(coming.dtype, DType::kFloat32);
    location = there;
  }
  size_t asked_size = 0;
  TargetLocation location;
};

class TargetAssemblerTest : public testing::Test {
 protected:
  TargetAssemblerTest() {
    std::string bytes(40'000, '\0');
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31);
    target_ =
        EncodedTarget::FromBytes(std::move(bytes), DType::kFloat32, Codec::kFp32, {1, 100, 100});
  }
  v1::TargetHeader Header() const {
    v1::TargetHeader header;
    header.set_sample(1);
    auto* payload = header.mutable_payload();
    payload->set_dtype(v1::DTYPE_FLOAT32);
    payload->set_codec(v1::CODEC_FP32);
    for (const int32_t side : target_.shape) payload->add_shape(side);
    payload->set_bytes(static_cast<int64_t>(target_.bytes.size()));
    payload->set_checksum(target_.checksum);
    return header;
  }
  absl::Status Add(const v1::TargetHeader& header) {
    grpc::ByteBuffer message = HeaderPart(header);
    return assembler_.Add(message);
  }
  absl::Status Add(absl::string_view chunk) {
    grpc::ByteBuffer message = ChunkPart(grpc::Slice(chunk.data(), chunk.size()));
    return assembler_.Add(message);
  }
  // All chunks of the target, of `size` bytes.
  void AddChunks(size_t size) {
    for (size_t at = 0; at < target_.bytes.size(); at += size) {
      ASSERT_TRUE(Add(target_.bytes.substr(at, size)).ok());
    }
  }

  EncodedTarget target_;
  PlacingSink sink_;
  BlockPool blocks_{1 << 20};
  TargetAssembler assembler_{sink_, blocks_, false};
};

TEST_F(TargetAssemblerTest, ATargetWithoutAPlaceOwnsItsBytes) {
  for (const size_t size : {1u, 7777u, 40000u}) {
    sink_.targets.clear();
    ASSERT_TRUE(Add(Header()).ok());
    EXPECT_TRUE(sink_.targets.empty());
    AddChunks(size);
    const EncodedTarget& target = sink_.targets.at({1, 0}).value();
    EXPECT_TRUE(target.bytes == target_.bytes);
    EXPECT_NE(target.owner, nullptr);
    EXPECT_TRUE(target.Verify().ok());
  }
}

TEST_F(TargetAssemblerTest, APlacedTargetLiesInItsPlace) {
  std::vector<char> row(target_.bytes.size());
  sink_.places[{1, 0}] = row.data();
  ASSERT_TRUE(Add(Header()).ok());
  EXPECT_EQ(sink_.asked_size, row.size());
  AddChunks(3000);
  const EncodedTarget& target = sink_.targets.at({1, 0}).value();
  EXPECT_EQ(target.bytes.data(), row.data());
  EXPECT_TRUE(target.bytes == target_.bytes);
  EXPECT_EQ(target.owner, nullptr);
}

TEST_F(TargetAssemblerTest, AWrongChecksumIsDataLossOfThatTarget) {
  v1::TargetHeader other_sum = Header();
  other_sum.mutable_payload()->set_checksum(1);
  ASSERT_TRUE(Add(other_sum).ok());
  AddChunks(40000);
  EXPECT_TRUE(absl::IsDataLoss(sink_.targets.at({1, 0}).status()));
  ASSERT_TRUE(Add(Header()).ok());
  AddChunks(40000);
  EXPECT_TRUE(sink_.targets.at({1, 0}).ok()) << "the stream goes on";
}

TEST_F(TargetAssemblerTest, ErrorsComeWithoutChunks) {
  v1::TargetHeader header;
  header.mutable_error()->set_code(static_cast<int>(absl::StatusCode::kNotFound));
  header.mutable_error()->set_message("no tap");
  ASSERT_TRUE(Add(header).ok());
  EXPECT_EQ((sink_.targets.at({0, 0}).status()), absl::NotFoundError("no tap"));
  header.mutable_error()->set_sample_needed(true);
  ASSERT_TRUE(Add(header).ok());
  EXPECT_TRUE(IsSampleNeeded(sink_.targets.at({0, 0}).status()));
  ASSERT_TRUE(Add(Header()).ok());
}

TEST_F(TargetAssemblerTest, StoredAnswersOnlyACallThatAskedForIt) {
  v1::TargetHeader header;
  header.mutable_stored();
  EXPECT_TRUE(absl::IsDataLoss(Add(header)));
  TargetAssembler discarding(sink_, blocks_, true);
  grpc::ByteBuffer message = HeaderPart(header);
  ASSERT_TRUE(discarding.Add(message).ok());
  EXPECT_TRUE(sink_.targets.at({0, 0}).value().bytes.empty());
}

TEST_F(TargetAssemblerTest, RefusesHeadersOutOfBoundsBeforeItAsksForAPlace) {
  std::vector<v1::TargetHeader> wrong(12, Header());
  wrong[0].mutable_payload()->set_bytes(0);
  wrong[1].mutable_payload()->set_bytes(-1);
  wrong[2].mutable_payload()->set_bytes(EncodedTarget::kMaxBytes + 1);
  wrong[3].mutable_payload()->add_shape(1);
  wrong[4].mutable_payload()->set_dtype(static_cast<v1::DType>(77));
  wrong[5].mutable_payload()->set_codec(v1::CODEC_UNSPECIFIED);
  wrong[6].clear_payload();
  wrong[7].mutable_payload()->set_shape(0, -1);
  wrong[8].mutable_payload()->set_shape(1, 0);
  wrong[9].mutable_payload()->set_shape(2, std::numeric_limits<int32_t>::max());
  wrong[10].mutable_payload()->set_bytes(wrong[10].payload().bytes() + 2);
  wrong[11].mutable_payload()->set_dtype(v1::DTYPE_INT8);
  for (const v1::TargetHeader& header : wrong) {
    EXPECT_TRUE(absl::IsDataLoss(Add(header))) << header.ShortDebugString();
  }
  EXPECT_EQ(sink_.asked_size, 0u);
  EXPECT_TRUE(sink_.targets.empty());
}

TEST_F(TargetAssemblerTest, RefusesStreamsThatBreakTheProtocol) {
  EXPECT_TRUE(absl::IsDataLoss(Add("a chunk without a header")));
  std::vector<char> row(target_.bytes.size() + 1, 'r');
  sink_.places[{1, 0}] = row.data();
  ASSERT_TRUE(Add(Header()).ok());
  EXPECT_TRUE(absl::IsDataLoss(Add(std::string(target_.bytes.size() + 1, 'x'))));
  EXPECT_EQ(row.back(), 'r') << "nothing is written beyond the place";
  ASSERT_TRUE(Add(target_.bytes.substr(0, 39'999)).ok());
  EXPECT_TRUE(absl::IsDataLoss(Add("xy")));
  EXPECT_TRUE(absl::IsDataLoss(Add(Header()))) << "cut short";
  EXPECT_TRUE(sink_.targets.empty());
}

TEST_F(TargetAssemblerTest, ALocationIsGivenOnWithinItsBounds) {
  v1::TargetHeader header;
  auto* located = header.mutable_located();
  *located->mutable_payload() = Header().payload();
  located->set_path("/table");
  located->set_offset(22);
  ASSERT_TRUE(Add(header).ok());
  EXPECT_EQ(sink_.location, (TargetLocation{"/table", 22, target_.bytes.size()}));
  const std::function<void(v1::TargetHeader::Located&)> spoils[] = {
      [](auto& bad) { bad.clear_path(); },
      [](auto& bad) { bad.set_path(std::string(5000, 'x')); },
      [](auto& bad) { bad.set_offset(-1); },
      [](auto& bad) { bad.clear_payload(); },
      [](auto& bad) { bad.mutable_payload()->set_bytes(int64_t{1} << 40); },
      [](auto& bad) { bad.mutable_payload()->set_shape(0, -1); },
      [](auto& bad) { bad.mutable_payload()->set_shape(0, 1 << 30); }};
  for (const auto& spoil : spoils) {
    v1::TargetHeader bad = header;
    spoil(*bad.mutable_located());
    EXPECT_TRUE(absl::IsDataLoss(Add(bad)));
  }
}

}  // namespace
}  // namespace reflux
