// Target archives: the format, and `reflux targets export` and `import` between two cache servers.
#include "common/targets/target_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "cache/cache_server.h"
#include "cli/archive_commands.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "common/rpc/server.h"
#include "common/targets/remote_source.h"
#include "common/targets/target_service.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

ArchiveWriter::Output AppendTo(std::string& bytes) {
  return [&bytes](absl::string_view piece) {
    absl::StrAppend(&bytes, piece);
    return absl::OkStatus();
  };
}

std::string Archive(const TargetRequest& request) {
  std::string bytes;
  ArchiveWriter writer(AppendTo(bytes));
  EXPECT_TRUE(writer.Begin({.sets = {SetOf(request)}, .licence = "CC0"}).ok());
  for (size_t i = 0; i < request.samples.size(); ++i) {
    const int seed = static_cast<int>(i);
    EXPECT_TRUE(writer.Add({0, KeyOf(request, i), OriginOf(request, i), FakeTarget(seed)}).ok());
  }
  EXPECT_TRUE(writer.End().ok());
  return bytes;
}

// The status of reading it all; `entries` what was read before.
absl::Status ReadAll(absl::string_view bytes, uint64_t* entries = nullptr) {
  ArchiveReader reader(BytesInput(bytes));
  REFLUX_RETURN_IF_ERROR(reader.Begin().status());
  while (true) {
    const auto entry = reader.Next();
    if (entries != nullptr) *entries = reader.entries();
    if (!entry.ok()) return entry.status();
    if (!entry->has_value()) return absl::OkStatus();
  }
}

TEST(TargetArchiveTest, HasTheDocumentedBytes) {
  const TargetRequest request = FakeRequest(1);
  const std::string bytes = Archive(request);
  EXPECT_THAT(bytes, StartsWith(std::string("REFLUXTA\0\0\0\1\0\0", 14)));
  const size_t header = static_cast<uint8_t>(bytes[14]) * 256u + static_cast<uint8_t>(bytes[15]);
  const std::string entry = bytes.substr(16 + header + 8);
  const EncodedTarget target = FakeTarget(0);
  std::string head("\1\0\0", 3);
  absl::StrAppend(&head, KeyOf(request, 0).digest.AsBytes(),
                  EncodeTargetOrigin(OriginOf(request, 0)));
  head += std::string("\1\0\0\0\1\0\0\0\1\0\0\0\x10\0\0\0\0\0\0\0\x40", 21);
  EXPECT_THAT(entry, StartsWith(head));
  EXPECT_EQ(entry.substr(head.size() + 16, 64), target.bytes);
  const std::string trailer = entry.substr(head.size() + 16 + 64);
  EXPECT_THAT(trailer, StartsWith(std::string("\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\x40", 17)));
  EXPECT_EQ(trailer.substr(17), Sha256::Of(bytes.substr(0, bytes.size() - 32)).AsBytes());
}

TEST(TargetArchiveTest, ReturnsWhatWasWritten) {
  const TargetRequest request = FakeRequest(3);
  const std::string bytes = Archive(request);
  ArchiveReader reader(BytesInput(bytes));
  const auto header = reader.Begin();
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->licence, "CC0");
  EXPECT_EQ(MakeTargetSetId(header->sets.at(0)), MakeTargetSetId(SetOf(request)));
  for (size_t i = 0; i < 3; ++i) {
    const auto entry = reader.Next();
    ASSERT_TRUE(entry.ok()) << entry.status();
    EXPECT_EQ((*entry)->key, KeyOf(request, i));
    EXPECT_EQ((*entry)->origin, OriginOf(request, i));
    EXPECT_EQ((*entry)->target.bytes, FakeTarget(static_cast<int>(i)).bytes);
  }
  const auto end = reader.Next();
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_FALSE(end->has_value());
}

TEST(TargetArchiveTest, EveryTruncationAndEveryChangedByteIsFound) {
  const std::string bytes = Archive(FakeRequest(2));
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(ReadAll(bytes.substr(0, length)).ok()) << length;
  }
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string changed = bytes;
    changed[at] ^= 1;
    EXPECT_FALSE(ReadAll(changed).ok()) << at;
  }
  EXPECT_THAT(std::string(ReadAll(bytes + "x").message()), HasSubstr("bytes after the end"));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadAll("something else entirely")));
  std::string later = bytes;
  later[11] = 2;
  EXPECT_TRUE(absl::IsFailedPrecondition(ReadAll(later)));
}

TEST(TargetArchiveTest, ATargetUnderAnotherKeyIsRefusedOnBothSides) {
  const TargetRequest request = FakeRequest(2);
  std::string bytes;
  ArchiveWriter writer(AppendTo(bytes));
  ASSERT_TRUE(writer.Begin({.sets = {SetOf(request)}}).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(
      writer.Add({0, KeyOf(request, 0), OriginOf(request, 1), FakeTarget(0)})));
  // By hand, with right checksums: the key of another view.
  std::string forged = Archive(request);
  const size_t header = static_cast<uint8_t>(forged[14]) * 256u + static_cast<uint8_t>(forged[15]);
  const size_t head = 16 + header + 8 + 1, head_size = 2 + 32 + 89 + 1 + 12 + 16;
  forged[head + 2] ^= 1;
  const uint64_t checksum = TargetChecksum(absl::string_view(forged).substr(head, head_size));
  for (int i = 0; i < 8; ++i) {
    forged[head + head_size + static_cast<size_t>(i)] = static_cast<char>(checksum >> (56 - 8 * i));
  }
  EXPECT_THAT(std::string(ReadAll(forged).message()), HasSubstr("is not that of what the target"));
}

class ArchiveCommandsTest : public testing::Test {
 protected:
  void SetUp() override {
    service_ = MakeTargetService(teacher_, {}, {});
    teacher_server_ = *RpcServer::Start({}, {service_.get()});
    from_ = Start("from", teacher_server_->address());
    const auto student = MakeRemoteSource({.endpoint = from_->address()});
    ASSERT_TRUE(student->GetTeacherInfo({}).ok());
    CollectingSink sink;
    ASSERT_TRUE(student->Fetch({}, request_, sink).ok());
    ASSERT_TRUE(sink.AllOk());
  }
  std::unique_ptr<CacheServer> Start(const std::string& name, const std::string& teacher) {
    auto server = CacheServer::Start(
        {.store = {.directory = path(name), .min_free_disk_bytes = 0}, .teacher = teacher},
        nullptr);
    EXPECT_TRUE(server.ok()) << server.status();
    return *std::move(server);
  }
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  int Export(const std::string& set, const std::string& shards = "") {
    out_.str("");
    err_.str("");
    return ExportTargets(terminal_, {.cache = from_->address(),
                                     .set = set,
                                     .licence = "CC BY 4.0",
                                     .output = path("set.rta"),
                                     .safetensors = shards});
  }
  int Import(const CacheServer& to) {
    out_.str("");
    err_.str("");
    return ImportTargets(terminal_, to.address(), path("set.rta"));
  }

  TemporaryFolder folder_;
  FakeTeacher teacher_{/*elements=*/300000};  // over 1 MiB: a target travels in several messages
  const TargetRequest request_ = FakeRequest(5, 2);
  std::unique_ptr<v1::TargetService::Service> service_;
  std::unique_ptr<RpcServer> teacher_server_;
  std::unique_ptr<CacheServer> from_;
  std::ostringstream out_, err_;
  Terminal terminal_{out_, err_};
};

TEST_F(ArchiveCommandsTest, ACacheWithoutTeacherServesWhatItImported) {
  ASSERT_EQ(Export("fake/fake"), kExitDone) << err_.str();
  EXPECT_THAT(out_.str(), StartsWith("10 targets, 11.4 MiB"));
  const auto to = Start("to", "");
  ASSERT_EQ(Import(*to), kExitDone) << err_.str();
  EXPECT_EQ(out_.str(), "10 targets, 11.4 MiB, 10 of them new\nlicence: CC BY 4.0\n");
  const auto student = MakeRemoteSource({.endpoint = to->address()});
  const auto info = student->GetTeacherInfo({});
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->identity, FakeIdentity());
  CollectingSink sink;
  ASSERT_TRUE(student->Fetch({}, request_, sink).ok());
  for (size_t i = 0; i < 5; ++i) {
    for (size_t j = 0; j < 2; ++j) {
      ASSERT_TRUE(sink.at(i, j).ok()) << sink.at(i, j).status();
      EXPECT_EQ(sink.at(i, j)->bytes, teacher_.Expected(request_, i, j).bytes);
    }
  }
  ASSERT_EQ(Import(*to), kExitDone) << "again";
  EXPECT_THAT(out_.str(), HasSubstr(" 0 of them new"));
}

TEST_F(ArchiveCommandsTest, ADamagedFileLeavesWhatCameBeforeIt) {
  ASSERT_EQ(Export("fake/fake"), kExitDone) << err_.str();
  const std::string whole = *ReadFile(path("set.rta"), 1 << 30);
  ASSERT_TRUE(WriteFileAtomically(path("set.rta"), whole.substr(0, whole.size() / 2)).ok());
  const auto to = Start("to", "");
  EXPECT_EQ(Import(*to), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("cut short"));
  EXPECT_THAT(err_.str(), HasSubstr("4 new targets have been stored"));
  EXPECT_EQ(to->store().stats().entries, 4);
  std::string flipped = whole;
  flipped[whole.size() - 100000] ^= 1;
  ASSERT_TRUE(WriteFileAtomically(path("set.rta"), flipped).ok());
  EXPECT_EQ(Import(*to), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("wrong checksum"));
  EXPECT_EQ(to->store().stats().entries, 9);
  ASSERT_TRUE(WriteFileAtomically(path("set.rta"), whole).ok());
  ASSERT_EQ(Import(*to), kExitDone) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr(" 1 of them new"));
}

TEST_F(ArchiveCommandsTest, ExportsOneTapAndShardsForPython) {
  ASSERT_EQ(Export("fake/fake/aspp", path("shards")), kExitDone) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("5 targets"));
  const std::string shard = path("shards/targets-00000.safetensors");
  const std::string bytes = *ReadFile(shard, 1 << 30);
  EXPECT_THAT(bytes, HasSubstr(absl::StrCat("\"", request_.samples[3].digest.Hex(),
                                            " 8x8/8x8+0+0 aspp\"")));
  EXPECT_THAT(bytes, HasSubstr(std::string(teacher_.Expected(request_, 3, 1).bytes)));
  EXPECT_THAT(bytes, HasSubstr("\"licence\":\"CC BY 4.0\""));
}

TEST_F(ArchiveCommandsTest, LeavesNoFileWhenItFails) {
  EXPECT_EQ(Export("city/r101"), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("no target set begins with 'city/r101'"));
  terminal_.interrupted->Cancel();
  EXPECT_EQ(Export("fake/fake"), kExitFailed);
  EXPECT_FALSE(std::filesystem::exists(path("set.rta")));
  EXPECT_EQ(Import(*from_), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("set.rta"));
}

}  // namespace
}  // namespace reflux
