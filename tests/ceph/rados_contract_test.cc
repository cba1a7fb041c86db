// The contract of every TargetStore (tests/contract/target_store_contract.cc), on a real Ceph.
#include <filesystem>

#include "tests/ceph/shared_cluster.h"
#include "tests/contract/target_store_contract.h"

namespace reflux {
namespace {

std::unique_ptr<TargetStore> OpenOnCeph(const StoreSetup& setup) {
  RadosStoreOptions options = StoreOptions(std::filesystem::path(setup.folder).filename().string());
  options.capacity_bytes = setup.capacity_bytes;
  options.clock = setup.clock;
  auto store = OpenRadosStore(options);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

std::string WhyNoCeph() {
  std::string why;
  return SharedCluster(why) == nullptr ? "no Ceph to test on: " + why : "";
}

INSTANTIATE_TEST_SUITE_P(Rados, TargetStoreContract,
                         testing::Values(StoreFactory{&OpenOnCeph, &WhyNoCeph, /*places=*/true}));

}  // namespace
}  // namespace reflux
