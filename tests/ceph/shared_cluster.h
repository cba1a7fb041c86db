// The one Ceph of a test program: started by the first test that asks, stopped at the end.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "cache/rados/rados_store.h"
#include "tests/ceph/ceph_cluster.h"

namespace reflux {

// Null, with the reason in `why`, where there can be none.
CephCluster* SharedCluster(std::string& why);

// In SetUp of a fixture: skips the test, with the reason, where there is no Ceph.
#define REFLUX_NEEDS_CEPH()                                  \
  do {                                                       \
    std::string reflux_why_;                                 \
    if (::reflux::SharedCluster(reflux_why_) == nullptr) {   \
      GTEST_SKIP() << "no Ceph to test on: " << reflux_why_; \
    }                                                        \
  } while (false)

// A store of this name in the cluster's pool, with short pauses.
RadosStoreOptions StoreOptions(const std::string& name);

// A name that no other store has.
std::string FreshStoreName();

}  // namespace reflux
