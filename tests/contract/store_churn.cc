#include "tests/contract/store_churn.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "tests/contract/cache_fixtures.h"
#include "tests/support/fake_clock.h"

namespace reflux {
namespace {

constexpr int32_t kPinnedEntries = 150;
constexpr int32_t kGenerationEntries = 200;

absl::Status Say(int fd, ChurnMessage::Kind kind, const ChurnEntry& entry) {
  const ChurnMessage message{kind, entry};
  return write(fd, &message, sizeof(message)) == sizeof(message)
             ? absl::OkStatus()
             : absl::UnavailableError("nobody listens");
}

absl::Status PutAndSay(RocksTargetStore& store, const ChurnEntry& entry, int fd) {
  REFLUX_RETURN_IF_ERROR(
      store.Put(KeyOf(entry), SetOf(entry), OriginOf(FakeRequest(1), 0), ChurnTarget(entry)));
  return Say(fd, ChurnMessage::kStored, entry);
}

// One of the pinned set is put again.
absl::Status Renew(RocksTargetStore& store, const ChurnEntry& entry, int fd) {
  REFLUX_RETURN_IF_ERROR(Say(fd, ChurnMessage::kDropping, entry));
  REFLUX_RETURN_IF_ERROR(store.Drop(KeyOf(entry)));
  return PutAndSay(store, entry, fd);
}

}  // namespace

RocksTargetStoreOptions ChurnOptions(const std::string& directory, const Clock& clock) {
  return {.directory = directory,
          .capacity_bytes = kChurnCapacity,
          .min_free_disk_bytes = 0,
          .table_bytes = 1 << 20,
          .clock = &clock};
}

TargetKey KeyOf(const ChurnEntry& entry) {
  return {Sha256::Of(absl::StrCat("target ", entry.generation, " ", entry.number))};
}

TargetSet SetOf(const ChurnEntry& entry) {
  return {.dataset = absl::StrCat("generation", entry.generation),
          .teacher = FakeIdentity(),
          .spec = {.tap = "logits"}};
}

EncodedTarget ChurnTarget(const ChurnEntry& entry) {
  return FakeTarget(entry.generation * 1000 + entry.number, 2500 + entry.number);
}

absl::Status Churn(const std::string& directory, int32_t generation, int fd) {
  FakeClock clock;
  clock.Advance(2 * kLeaseTerm * generation);
  REFLUX_ASSIGN_OR_RETURN(const auto store, RocksTargetStore::Open(ChurnOptions(directory, clock)));
  const TargetSetId pinned = MakeTargetSetId(SetOf(ChurnEntry{kPinned, 0}));
  int32_t next_pinned = generation * 37 % kPinnedEntries;
  while (true) {
    for (int32_t i = 0; i < kGenerationEntries; ++i) {
      if (i % 4 == 0) {
        REFLUX_RETURN_IF_ERROR(Renew(*store, {kPinned, next_pinned}, fd));
        next_pinned = (next_pinned + 1) % kPinnedEntries;
        REFLUX_RETURN_IF_ERROR(store->Pin(pinned, absl::Hours(24)));
      }
      REFLUX_RETURN_IF_ERROR(PutAndSay(*store, {generation, i}, fd));
    }
    REFLUX_RETURN_IF_ERROR(Say(fd, ChurnMessage::kExpiring, {generation, 0}));
    clock.Advance(2 * kLeaseTerm);
    ++generation;
  }
}

}  // namespace reflux
