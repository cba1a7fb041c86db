#include "tests/ceph/shared_cluster.h"

#include <unistd.h>

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

constexpr int kOsds = 2;

struct Shared {
  std::unique_ptr<TemporaryFolder> folder;
  std::unique_ptr<CephCluster> cluster;
  std::string why;
  bool tried = false;
};

Shared& TheShared() {
  static auto& shared = *new Shared;
  return shared;
}

// Before the process ends, while the folder can still be removed.
class StopAtTheEnd : public testing::Environment {
 public:
  void TearDown() override {
    TheShared().cluster.reset();
    TheShared().folder.reset();
  }
};

const testing::Environment* const kStopAtTheEnd =
    testing::AddGlobalTestEnvironment(new StopAtTheEnd);

}  // namespace

CephCluster* SharedCluster(std::string& why) {
  Shared& shared = TheShared();
  if (!std::exchange(shared.tried, true)) {
    shared.folder = std::make_unique<TemporaryFolder>();
    auto cluster = CephCluster::Start(shared.folder->path(), kOsds);
    if (cluster.ok()) {
      shared.cluster = *std::move(cluster);
    } else {
      shared.why = std::string(cluster.status().message());
      // Where it is installed it must start.
      EXPECT_TRUE(absl::IsUnavailable(cluster.status())) << cluster.status();
    }
  }
  why = shared.why;
  return shared.cluster.get();
}

RadosStoreOptions StoreOptions(const std::string& name) {
  std::string why;
  return {.pool = CephCluster::kPool,
          .name = name,
          .configuration = SharedCluster(why)->configuration(),
          .retry_after = absl::Milliseconds(500)};
}

std::string FreshStoreName() {
  static std::atomic<int> number{0};
  return absl::StrCat("store-", getpid(), "-", ++number);
}

}  // namespace reflux
