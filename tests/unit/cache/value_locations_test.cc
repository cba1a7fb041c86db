// Values are read from where RocksDB keeps them, and only if that is what was looked for.
#include "cache/value_locations.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "cache/rocks_read.h"
#include "cache/rocks_target_store.h"
#include "common/targets/located_target.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

constexpr int32_t kElements = 50000;  // float32: 200 kB, more than a piece
constexpr size_t kBytes = size_t{4} * kElements;

class ValueLocationsTest : public testing::Test {
 protected:
  ValueLocationsTest() {
    auto store = RocksTargetStore::Open({.directory = directory_, .min_free_disk_bytes = 0});
    EXPECT_TRUE(store.ok()) << store.status();
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_TRUE((*store)
                      ->Put(KeyOf(request_, i), SetOf(request_), OriginOf(request_, i),
                            FakeTarget(static_cast<int>(i), kElements))
                      .ok());
    }
    store->reset();
    Reopen();
  }

  void Reopen() {
    handles_.reset();
    auto handles = OpenRocks(directory_);
    ASSERT_TRUE(handles.ok()) << handles.status();
    handles_ = *std::move(handles);
  }
  void Flush() { ASSERT_TRUE(handles_->db->Flush({}, handles_->values).ok()); }

  IndexRecord Record(size_t sample) { return *ReadRecord(*handles_, KeyOf(request_, sample)); }
  std::optional<ValueLocation> Locate(size_t sample) {
    rocksdb::PinnableSlice value;
    return LocateOrRead(*handles_, Record(sample), value).location;
  }
  absl::StatusOr<EncodedTarget> ReadInto(std::vector<char>& row, size_t sample) {
    const auto place = [&](const EncodedTarget& coming, size_t size) {
      EXPECT_EQ(coming.checksum, FakeTarget(static_cast<int>(sample), kElements).checksum);
      EXPECT_EQ(coming.shape, FakeTarget(static_cast<int>(sample), kElements).shape);
      return size == row.size() ? row.data() : nullptr;
    };
    return ReadValue(handles_, Record(sample), place);
  }
  std::string Table() {
    rocksdb::ColumnFamilyMetaData data;
    handles_->db->GetColumnFamilyMetaData(handles_->values, &data);
    for (const auto& level : data.levels) {
      for (const auto& file : level.files) return file.db_path + file.name;
    }
    return "";
  }
  void Flip(uint64_t offset) {
    std::fstream file(Table(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<int64_t>(offset));
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(static_cast<int64_t>(offset));
    file.put(byte);
    ASSERT_TRUE(file.good());
  }

  TemporaryFolder folder_;
  const std::string directory_ = folder_.path() + "/cache";
  const TargetRequest request_ = FakeRequest(4);
  std::shared_ptr<RocksHandles> handles_;
};

TEST_F(ValueLocationsTest, AValueInATableIsReadStraightIntoItsPlace) {
  Flush();
  std::vector<char> row(kBytes);
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(Locate(i).has_value());
    const auto target = ReadInto(row, i);
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(target->bytes.data(), row.data());
    EXPECT_EQ(target->owner, nullptr);
    EXPECT_EQ(target->bytes, FakeTarget(static_cast<int>(i), kElements).bytes);
  }
}

TEST_F(ValueLocationsTest, WithoutAPlaceItHasMemoryOfItsOwnThatOutlivesTheDatabase) {
  Flush();
  std::vector<char> too_small(kBytes - 4);
  const auto target = ReadInto(too_small, 1);
  ASSERT_TRUE(target.ok()) << target.status();
  handles_.reset();
  EXPECT_NE(target->owner, nullptr);
  EXPECT_EQ(target->bytes, FakeTarget(1, kElements).bytes);
}

TEST_F(ValueLocationsTest, AValueInMemoryIsReadOnceAndAsUsual) {
  ASSERT_TRUE(handles_->db->Put({}, handles_->values, "other", "x").ok());
  auto record = Record(0);
  record.insertion = 1000;
  record.size = kBytes;
  const EncodedTarget target = FakeTarget(7, kElements);
  record.checksum = target.checksum;
  ASSERT_TRUE(
      handles_->db
          ->Put({}, handles_->values, EncodeInsertion(record.insertion), ToSlice(target.bytes))
          .ok());
  rocksdb::PinnableSlice value;
  const LocatedOrRead found = LocateOrRead(*handles_, record, value);
  EXPECT_FALSE(found.location.has_value());
  ASSERT_TRUE(found.status.ok());
  EXPECT_EQ(FromSlice(value), target.bytes);
}

TEST_F(ValueLocationsTest, WhatIsNotThereIsNotFound) {
  Flush();
  IndexRecord record = Record(0);
  for (const uint64_t insertion : {uint64_t{3}, uint64_t{999}}) {
    record.insertion = insertion + Record(2).insertion;
    EXPECT_TRUE(absl::IsNotFound(ReadValue(handles_, record).status()));
  }
  record.insertion = Record(1).insertion;
  record.size -= 4;
  EXPECT_TRUE(absl::IsDataLoss(ReadValue(handles_, record).status())) << "of another size";
}

TEST_F(ValueLocationsTest, ADeletedTableIsReadToItsEnd) {
  Flush();
  const std::optional<ValueLocation> location = Locate(2);
  ASSERT_TRUE(location.has_value());
  ASSERT_TRUE(handles_->db->DropColumnFamily(handles_->values).ok());
  handles_.reset();
  std::filesystem::remove_all(directory_);
  std::vector<char> row(kBytes);
  ASSERT_TRUE(location->Read(row.data(), 0, row.size()).ok());
  EXPECT_EQ(absl::string_view(row.data(), row.size()), FakeTarget(2, kElements).bytes);
}

TEST_F(ValueLocationsTest, EveryDamageOfAValueOrItsEntryIsDataLoss) {
  Flush();
  const uint64_t begin = Locate(1)->offset;
  std::vector<char> row(kBytes);
  // Before the value stand three lengths of 5 bytes together, 8 bytes of key, its type, and a
  // sequence number that matters to nobody.
  for (const uint64_t offset :
       {begin - 21, begin - 20, begin - 19, begin - 16, begin - 9, begin - 8, begin, begin + 1,
        begin + kBytes / 2, begin + kBytes - 1}) {
    SCOPED_TRACE(static_cast<int64_t>(offset - begin));
    Flip(offset);
    Reopen();
    EXPECT_TRUE(absl::IsDataLoss(ReadInto(row, 1).status()));
    EXPECT_TRUE(ReadInto(row, 0).ok());
    Flip(offset);
    Reopen();
    EXPECT_TRUE(ReadInto(row, 1).ok());
  }
}

TEST_F(ValueLocationsTest, ATableCutShortUnderAnOpenStoreIsAnError) {
  Flush();
  std::vector<char> row(kBytes);
  ASSERT_TRUE(ReadInto(row, 2).ok());
  std::filesystem::resize_file(Table(), Locate(2)->offset + kBytes / 2);
  EXPECT_TRUE(absl::IsDataLoss(ReadInto(row, 2).status()));
  EXPECT_TRUE(ReadInto(row, 1).ok());
}

TEST_F(ValueLocationsTest, AnotherProcessIsToldWhereTheValueLies) {
  EXPECT_TRUE(absl::IsNotFound(LocateTarget(*handles_, IndexRecord{.insertion = 77}).status()))
      << "not there";
  Flush();
  const auto located = LocateTarget(*handles_, Record(1));
  ASSERT_TRUE(located.ok()) << located.status();
  EXPECT_TRUE(std::filesystem::path(located->location.path).is_absolute());
  const auto read = ReadLocated(located->coming, located->location, nullptr, handles_->blocks);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->bytes, FakeTarget(1, kElements).bytes);
}

}  // namespace
}  // namespace reflux
