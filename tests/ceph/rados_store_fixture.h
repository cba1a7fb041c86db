// A store of its own for each test on the shared Ceph, and what lies behind it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "cache/rados/rados_namespace.h"
#include "tests/ceph/shared_cluster.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {

class RadosStoreTest : public testing::Test {
 protected:
  void SetUp() override { REFLUX_NEEDS_CEPH(); }

  std::unique_ptr<TargetStore> Open(RadosStoreOptions options) {
    auto store = OpenRadosStore(options);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  std::unique_ptr<TargetStore> Open() { return Open(StoreOptions(name_)); }
  absl::Status Put(TargetStore& store, size_t sample, size_t spec = 0) {
    return store.Put(KeyOf(request_, sample, spec), SetOf(request_, spec),
                     OriginOf(request_, sample), FakeTarget(static_cast<int>(sample), 20));
  }
  TargetKey Key(size_t sample, size_t spec = 0) { return KeyOf(request_, sample, spec); }
  TargetSetId IdOf(size_t spec) { return MakeTargetSetId(SetOf(request_, spec)); }
  // The namespace with the objects of a set, past the store.
  std::shared_ptr<RadosNamespace> Space(const std::string& name) {
    auto cluster = RadosCluster::Connect(StoreOptions(name_));
    EXPECT_TRUE(cluster.ok()) << cluster.status();
    auto space = RadosNamespace::Open(*cluster, name);
    EXPECT_TRUE(space.ok()) << space.status();
    return *space;
  }
  std::vector<std::string> Objects(RadosNamespace& space) {
    std::vector<std::string> objects;
    EXPECT_TRUE(space
                    .List([&](const std::string& object) {
                      objects.push_back(object);
                      return absl::OkStatus();
                    })
                    .ok());
    return objects;
  }

  const std::string name_ = FreshStoreName();
  const TargetRequest request_ = FakeRequest(100, 2);
};

}  // namespace reflux
