// kill -9 at random moments of fills, evictions and moves, again and again on one folder: nothing
// acknowledged is lost, nothing wrong is served, index and order stay in step.
//
// Environment variable REFLUX_KILLS: how often; 15 by default, 200 in the test of label `slow`.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <set>

#include "cache/index_record.h"
#include "cache/rocks_handles.h"
#include "cache/rocks_target_store.h"
#include "cache/verify_store.h"
#include "tests/contract/cache_fixtures.h"
#include "tests/contract/store_child.h"
#include "tests/contract/store_churn.h"
#include "tests/support/fake_clock.h"

namespace reflux {
namespace {

int Kills() {
  const char* kills = std::getenv("REFLUX_KILLS");
  return kills == nullptr ? 15 : std::atoi(kills);
}

class StoreKillTest : public testing::Test {
 protected:
  // Runs the child until it has sent `messages` messages or `milliseconds` have passed, whichever
  // is first, and kills it.
  void RunAndKill(int messages, int milliseconds) {
    const StoreChild child = StoreChild::Start(REFLUX_STORE_CHILD, "churn", folder_.path(),
                                               std::to_string(next_generation_));
    ASSERT_GT(child.pid, 0);
    pollfd ready{.fd = child.output, .events = POLLIN, .revents = 0};
    if (milliseconds > 0) poll(nullptr, 0, milliseconds);
    while (milliseconds == 0 && messages-- > 0 && poll(&ready, 1, 30000) == 1) {
      if (!ReadMessage(child.output)) break;
    }
    kill(child.pid, SIGKILL);
    while (ReadMessage(child.output)) {  // what it had said before it died
    }
    close(child.input);
    close(child.output);
    int status = 0;
    ASSERT_EQ(waitpid(child.pid, &status, 0), child.pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
  }

  bool ReadMessage(int fd) {
    ChurnMessage message;
    if (read(fd, &message, sizeof(message)) != sizeof(message)) return false;
    switch (message.kind) {
      case ChurnMessage::kStored:
        acknowledged_.insert(message.entry);
        ever_.insert(message.entry);
        ++stored_;
        break;
      case ChurnMessage::kDropping:
        acknowledged_.erase(message.entry);
        break;
      case ChurnMessage::kExpiring:  // of the generations: the pinned set stays
        std::erase_if(acknowledged_,
                      [](const ChurnEntry& entry) { return entry.generation != kPinned; });
        next_generation_ = std::max(next_generation_, message.entry.generation + 1);
        break;
    }
    return true;
  }

  // The names of index and order, compared record by record.
  void CheckFamiliesInStep() {
    const auto handles = OpenRocks(folder_.path());
    ASSERT_TRUE(handles.ok()) << handles.status();
    std::map<std::string, std::string> index, order;  // key -> index record
    std::unique_ptr<rocksdb::Iterator> it((*handles)->db->NewIterator({}, (*handles)->index));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      index[it->key().ToString()] = it->value().ToString();
    }
    it.reset((*handles)->db->NewIterator({}, (*handles)->order));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      TargetKey key;
      IndexRecord record;
      ASSERT_TRUE(
          DecodeOrderRecord(FromSlice(it->key()), FromSlice(it->value()), key, record).ok());
      order[std::string(key.digest.AsBytes())] = EncodeIndexRecord(record);
    }
    EXPECT_EQ(index, order);
  }

  void CheckStore() {
    FakeClock clock;
    clock.Advance(2 * kLeaseTerm * next_generation_);
    const auto opened = RocksTargetStore::Open(ChurnOptions(folder_.path(), clock));
    ASSERT_TRUE(opened.ok()) << opened.status();
    RocksTargetStore& store = **opened;
    for (const ChurnEntry& entry : acknowledged_) {
      const auto target = store.Read(KeyOf(entry), Use::kInspection);
      ASSERT_TRUE(target.ok()) << "acknowledged, then lost: " << entry.generation << " "
                               << entry.number << ": " << target.status();
    }
    for (const ChurnEntry& entry : ever_) {
      const auto target = store.Read(KeyOf(entry), Use::kInspection);
      if (absl::IsNotFound(target.status())) continue;  // evicted or dropped
      ASSERT_TRUE(target.ok()) << target.status();
      ASSERT_EQ(target->bytes, ChurnTarget(entry).bytes) << "a wrong target";
    }
    const auto report = VerifyStore(store, {});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->corrupted, 0);
    const StoreStats stats = store.stats();
    EXPECT_EQ(report->entries, stats.entries);
    EXPECT_EQ(report->bytes, stats.live_bytes);
    EXPECT_LE(stats.live_bytes, stats.capacity_bytes);
    most_on_disk_ = std::max(most_on_disk_, stats.disk_bytes);
  }

  TemporaryFolder folder_;
  std::set<ChurnEntry> acknowledged_;  // and to be found again
  std::set<ChurnEntry> ever_;
  int32_t next_generation_ = 0;
  int64_t stored_ = 0;
  int64_t most_on_disk_ = 0;
};

TEST_F(StoreKillTest, NothingAcknowledgedIsLostAndNothingWrongIsServed) {
  const int kills = Kills();
  std::mt19937 random(7);
  int after_eviction = 0;
  for (int round = 0; round < kills; ++round) {
    SCOPED_TRACE(round);
    // Every fourth dies while it opens the folder, or soon after.
    const bool early = round % 4 == 3;
    const int32_t generations = next_generation_;
    RunAndKill(static_cast<int>(random() % 1500), early ? 1 + static_cast<int>(random() % 60) : 0);
    after_eviction += next_generation_ - generations >= 2 ? 1 : 0;
    CheckFamiliesInStep();
    CheckStore();
    if (HasFatalFailure() || HasNonfatalFailure()) return;
    // Targets of generations long gone need no look.
    std::erase_if(ever_, [this](const ChurnEntry& entry) {
      return entry.generation != kPinned && entry.generation + 8 < next_generation_;
    });
  }
  EXPECT_GT(after_eviction, kills / 4) << "too few kills saw an eviction";
  EXPECT_LT(most_on_disk_, 4 * kChurnCapacity) << "space of dead values is given back";
  std::cout << kills << " kills, " << stored_ << " targets stored, " << after_eviction
            << " kills after evictions, at most " << most_on_disk_ << " bytes on disk\n";
}

}  // namespace
}  // namespace reflux
