// What the store on Ceph reads, and where to: places, damaged objects, entries that are no longer
// true or that an older version stored.
#include <functional>

#include "cache/rados/rados_format.h"
#include "cache/verify_store.h"
#include "tests/ceph/rados_store_fixture.h"

namespace reflux {
namespace {

// Memory of a reader.
class Row {
 public:
  PlaceFn place() {
    return [this](const EncodedTarget& coming, size_t size) {
      ++asked_;
      coming_ = coming;
      bytes_.assign(size, '\0');
      return bytes_.data();
    };
  }
  bool Holds(const EncodedTarget& target) const {
    return target.owner == nullptr && target.bytes.data() == bytes_.data();
  }
  int asked() const { return asked_; }
  const EncodedTarget& coming() const { return coming_; }

 private:
  int asked_ = 0;
  EncodedTarget coming_;
  std::string bytes_;
};

class RadosReadTest : public RadosStoreTest {
 protected:
  // Replaces the index entry of sample 0 by what `change` makes of it.
  void ChangeEntry(const std::function<void(RadosEntry&)>& change) {
    const auto control = Space(name_);
    const std::string shard = ShardName(ShardOf(Key(0))), name = HeadName(Key(0));
    RadosEntry entry = *DecodeRadosEntry(control->ReadMap({shard, {name}})->at(name));
    change(entry);
    ASSERT_TRUE(control->ChangeMap(shard, {.set = {{name, EncodeRadosEntry(entry)}}}).ok());
  }
};

TEST_F(RadosReadTest, AServerThatNeverSawATargetReadsItIntoItsPlace) {
  const EncodedTarget expected = FakeTarget(0, 20);
  ASSERT_TRUE(Put(*Open(), 0).ok());
  const auto other = Open();
  Row row;
  const auto read = other->ReadTo(row.place(), Key(0), Use::kTraining);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(row.Holds(*read));
  EXPECT_EQ(read->bytes, expected.bytes);
  EXPECT_EQ(row.coming().shape, expected.shape);
  EXPECT_EQ(row.coming().dtype, expected.dtype);
  EXPECT_EQ(row.coming().codec, expected.codec);
  EXPECT_EQ(row.coming().checksum, expected.checksum);
  EXPECT_EQ(row.asked(), 1);
}

TEST_F(RadosReadTest, WhatAnotherServerPutAnewIsReadAnew) {
  const auto a = Open(), b = Open();
  ASSERT_TRUE(Put(*a, 0).ok());
  ASSERT_TRUE(b->Get(Key(0)).ok()) << "b remembers its entry";
  ASSERT_TRUE(a->Drop(Key(0)).ok());
  const EncodedTarget anew = FakeTarget(9, 30);
  ASSERT_TRUE(a->Put(Key(0), SetOf(request_), OriginOf(request_, 0), anew).ok());
  Row row;
  const auto read = b->ReadTo(row.place(), Key(0), Use::kTraining);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(row.Holds(*read));
  EXPECT_EQ(read->bytes, anew.bytes);
  EXPECT_EQ(row.asked(), 2) << "once for what it remembered";
  EXPECT_EQ(row.coming().shape, anew.shape);
}

TEST_F(RadosReadTest, AnEntryThatDescribesAnotherValueIsDataLoss) {
  const std::vector<std::function<void(RadosForm&)>> changes = {
      [](RadosForm& form) {
        form.shape = {4, 5, 1};
      },
      [](RadosForm& form) { form.dtype = DType::kInt8; },
      [](RadosForm& form) { ++form.checksum; },
  };
  for (const auto& change : changes) {
    ASSERT_TRUE(Put(*Open(), 0).ok());
    ASSERT_NO_FATAL_FAILURE(ChangeEntry([&](RadosEntry& entry) { change(*entry.form); }));
    const auto store = Open();
    Row row;
    const auto read = store->ReadTo(row.place(), Key(0), Use::kTraining);
    EXPECT_TRUE(absl::IsDataLoss(read.status())) << read.status();
    ASSERT_TRUE(store->Drop(Key(0)).ok());
  }
}

TEST_F(RadosReadTest, AStoreOfVersion1IsReadAndBecomesOneOfTheNewest) {
  ASSERT_TRUE(Put(*Open(), 0).ok());
  ASSERT_NO_FATAL_FAILURE(ChangeEntry([](RadosEntry& entry) { entry.form.reset(); }));
  const auto control = Space(name_);
  ASSERT_TRUE(control->Replace("format", "1\n", "").ok());
  const auto store = Open();
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(*control->ReadStart("format", 16), "2\n");
  Row row;
  const auto read = store->ReadTo(row.place(), Key(0), Use::kTraining);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->bytes, FakeTarget(0, 20).bytes);
  EXPECT_EQ(row.asked(), 0) << "its entry does not say what is coming";
  ASSERT_TRUE(Put(*store, 1).ok());
  EXPECT_EQ(store->stats().entries, 2);
  ASSERT_TRUE(store->Drop(Key(0)).ok());
  EXPECT_EQ(store->stats().entries, 1);
}

TEST_F(RadosReadTest, ADamagedObjectIsDataLossUntilItIsDropped) {
  const auto store = Open();
  const auto space = Space(SetNamespace(name_, IdOf(0)));
  ASSERT_TRUE(Put(*store, 1).ok());
  const std::string other = *space->ReadStart(HeadName(Key(1)), 1000);
  ASSERT_EQ(other.size(), kRadosHeaderSize + 80);
  const std::vector<std::function<std::string(std::string)>> damages = {
      [](std::string bytes) { return bytes[kRadosHeaderSize + 7] ^= 1, bytes; },  // in the value
      [](std::string bytes) { return bytes[30] ^= 1, bytes; },                    // in the header
      [](std::string bytes) { return bytes.substr(0, bytes.size() - 1); },        // cut
      [](std::string bytes) { return bytes.substr(0, 100); },  // cut in the header
      [](std::string bytes) { return bytes + "x"; },
      [](std::string) { return std::string("x"); },
      [&](std::string) { return other; },  // another target, whole
  };
  Row row;
  for (size_t i = 0; i < damages.size(); ++i) {
    ASSERT_TRUE(Put(*store, 0).ok());
    const std::string whole = *space->ReadStart(HeadName(Key(0)), 1000);
    ASSERT_TRUE(space->Replace(HeadName(Key(0)), damages[i](whole), "").ok());
    const auto read = store->Get(Key(0));
    const auto placed = store->ReadTo(row.place(), Key(0), Use::kTraining);
    EXPECT_EQ(placed.status(), read.status()) << i;
    if (i == 4) {  // what lies behind a value is not read
      EXPECT_EQ(read->bytes, FakeTarget(0, 20).bytes);
    } else {
      EXPECT_TRUE(absl::IsDataLoss(read.status())) << i << ": " << read.status();
    }
    ASSERT_TRUE(store->Drop(Key(0)).ok());
    EXPECT_TRUE(absl::IsNotFound(store->Get(Key(0)).status()));
  }
  ASSERT_TRUE(Put(*store, 0).ok());
  ASSERT_TRUE(space->Replace(HeadName(Key(0)), "x", "").ok());
  const auto report = VerifyStore(*store, {});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->entries, 2);
  EXPECT_EQ(report->corrupted, 1);
  EXPECT_EQ(Open()->stats().entries, 1);
}

TEST_F(RadosReadTest, AValueOf134MegabytesLiesInSeveralObjects) {
  const auto store = Open();
  const EncodedTarget target = FakeTarget(5, 2048 * 128 * 128);
  ASSERT_TRUE(store->Put(Key(0), SetOf(request_), OriginOf(request_, 0), target).ok());
  const auto space = Space(SetNamespace(name_, IdOf(0)));
  EXPECT_EQ(Objects(*space).size(), 2u);
  {
    const auto read = store->Get(Key(0));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->bytes, target.bytes);
  }
  {
    Row row;
    const auto read = store->ReadTo(row.place(), Key(0), Use::kTraining);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(row.Holds(*read));
    EXPECT_EQ(read->bytes, target.bytes);
  }
  for (const std::string& object : Objects(*space)) {
    if (object == HeadName(Key(0))) continue;
    ASSERT_TRUE(space->Remove(object).ok());
  }
  EXPECT_TRUE(absl::IsDataLoss(store->Get(Key(0)).status()));
  ASSERT_TRUE(store->Drop(Key(0)).ok());
  ASSERT_TRUE(store->Put(Key(0), SetOf(request_), OriginOf(request_, 0), target).ok());
  ASSERT_TRUE(store->Drop(Key(0)).ok());
  EXPECT_EQ(Objects(*space).size(), 0u);
}

}  // namespace
}  // namespace reflux
