// The contract on the stores that need no other process.
#include "tests/contract/target_store_contract.h"

#include "cache/memory_target_store.h"
#include "cache/rocks_target_store.h"

namespace reflux {
namespace {

std::unique_ptr<TargetStore> OpenMemory(const StoreSetup& setup) {
  return std::make_unique<MemoryTargetStore>(setup.capacity_bytes, *setup.clock);
}

std::unique_ptr<TargetStore> OpenOnDisk(const StoreSetup& setup) {
  auto store = RocksTargetStore::Open({.directory = setup.folder,
                                       .capacity_bytes = setup.capacity_bytes,
                                       .min_free_disk_bytes = 0,
                                       .clock = setup.clock});
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

INSTANTIATE_TEST_SUITE_P(Memory, TargetStoreContract, testing::Values(StoreFactory{&OpenMemory}));
INSTANTIATE_TEST_SUITE_P(Rocks, TargetStoreContract, testing::Values(StoreFactory{&OpenOnDisk}));

}  // namespace
}  // namespace reflux
