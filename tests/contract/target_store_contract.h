// The suite that every TargetStore passes. A test program compiles target_store_contract.cc and
// instantiates it with its store.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "cache/target_store.h"
#include "tests/contract/cache_fixtures.h"
#include "tests/support/fake_clock.h"

namespace reflux {

struct StoreSetup {
  std::string folder;          // of the test; its name exists nowhere else
  int64_t capacity_bytes = 0;  // 0: none
  const Clock* clock = nullptr;
};

struct StoreFactory {
  // Opens the store of this folder, the same at every call.
  std::unique_ptr<TargetStore> (*open)(const StoreSetup&);
  // Why there can be no such store here; empty when there can.
  std::string (*absent)() = [] { return std::string(); };
  // Whether it reads every value that it has just stored into the memory that it is offered.
  bool places = false;
};

class TargetStoreContract : public testing::TestWithParam<StoreFactory> {
 protected:
  void SetUp() override {
    if (const std::string why = GetParam().absent(); !why.empty()) GTEST_SKIP() << why;
  }
  std::unique_ptr<TargetStore> Open(int64_t capacity_bytes = 0) {
    return GetParam().open({folder_.path(), capacity_bytes, &clock_});
  }
  // Stores 80 bytes for this sample and spec: each spec is a target set.
  absl::Status Put(TargetStore& store, size_t sample, size_t spec = 0, int32_t elements = 20) {
    return store.Put(KeyOf(request_, sample, spec), SetOf(request_, spec),
                     OriginOf(request_, sample), FakeTarget(static_cast<int>(sample), elements));
  }
  bool Holds(TargetStore& store, size_t sample, size_t spec = 0) {
    return store.Contains(KeyOf(request_, sample, spec));
  }
  TargetSetId IdOf(size_t spec) { return MakeTargetSetId(SetOf(request_, spec)); }

  FakeClock clock_;
  const TargetRequest request_ = FakeRequest(8, 2);

 private:
  TemporaryFolder folder_;
};

}  // namespace reflux
