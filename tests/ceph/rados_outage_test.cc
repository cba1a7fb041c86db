// Cache servers on a Ceph whose object stores are killed and brought back while students fetch:
// nothing wrong is served, everything is served, and what cannot be read is computed again.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "cache/cache_server.h"
#include "cache/verify_store.h"
#include "common/base/mutex.h"
#include "common/rpc/server.h"
#include "common/targets/rendezvous_source.h"
#include "common/targets/target_service.h"
#include "tests/ceph/shared_cluster.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

constexpr int kSamples = 32, kBatch = 8;

class RadosOutageTest : public testing::Test {
 protected:
  void SetUp() override {
    REFLUX_NEEDS_CEPH();
    std::string why;
    cluster_ = SharedCluster(why);
    auto server = RpcServer::Start({.max_receive_bytes = kTargetServiceMaxReceiveBytes},
                                   {teacher_service_.get()});
    ASSERT_TRUE(server.ok()) << server.status();
    teacher_server_ = *std::move(server);
    for (int i = 0; i < 2; ++i) {
      RadosStoreOptions store = StoreOptions(name_);
      store.timeout = absl::Seconds(1);
      auto cache =
          CacheServer::Start({.rados = store, .teacher = teacher_server_->address()}, nullptr);
      ASSERT_TRUE(cache.ok()) << cache.status();
      caches_.push_back(*std::move(cache));
    }
  }
  std::unique_ptr<TargetSource> Student(const std::string& servers) {
    return *ConnectServers(servers, {}, nullptr, "worker");
  }
  std::string Both() { return caches_[0]->address() + "," + caches_[1]->address(); }
  // One pass over all samples; every target must come, once, and be right.
  void Epoch(TargetSource& student) {
    for (int first = 0; first < kSamples; first += kBatch) {
      const TargetRequest request = FakeRequest(kBatch, 2, first);
      CollectingSink sink;
      const absl::Status status =
          student.Fetch({.deadline = absl::Now() + absl::Seconds(60)}, request, sink);
      ASSERT_TRUE(status.ok()) << status;
      for (size_t i = 0; i < kBatch; ++i) {
        for (size_t j = 0; j < 2; ++j) {
          ASSERT_TRUE(sink.at(i, j).ok()) << sink.at(i, j).status();
          ASSERT_EQ(sink.at(i, j)->bytes, teacher_.Expected(request, i, j).bytes);
        }
      }
    }
  }

  const std::string name_ = FreshStoreName();
  CephCluster* cluster_ = nullptr;
  FakeTeacher teacher_{/*elements=*/20000};
  std::unique_ptr<v1::TargetService::Service> teacher_service_ =
      MakeTargetService(teacher_, {}, {});
  std::unique_ptr<RpcServer> teacher_server_;
  std::vector<std::unique_ptr<CacheServer>> caches_;
};

TEST_F(RadosOutageTest, WhatOneServerStoredTheOtherServes) {
  ASSERT_NO_FATAL_FAILURE(Epoch(*Student(caches_[0]->address())));
  EXPECT_EQ(teacher_.targets(), 2 * kSamples);
  ASSERT_NO_FATAL_FAILURE(Epoch(*Student(caches_[1]->address())));
  EXPECT_EQ(teacher_.targets(), 2 * kSamples) << "a warm store, whoever asks";
  caches_[0].reset();  // stateless: its share is served by the other, from the store
  ASSERT_NO_FATAL_FAILURE(Epoch(*Student(caches_[1]->address())));
  EXPECT_EQ(teacher_.targets(), 2 * kSamples);
}

TEST_F(RadosOutageTest, ACopyIsServedWhenOneObjectStoreDies) {
  ASSERT_NO_FATAL_FAILURE(Epoch(*Student(Both())));
  ASSERT_TRUE(cluster_->Kill(0).ok());
  ASSERT_NO_FATAL_FAILURE(Epoch(*Student(Both())));
  ASSERT_TRUE(cluster_->Revive(0).ok());
  ASSERT_NO_FATAL_FAILURE(Epoch(*Student(Both())));
  EXPECT_LE(teacher_.targets(), 3 * 2 * kSamples);
}

TEST_F(RadosOutageTest, AJobGoesOnWithoutItsStore) {
  std::atomic<bool> stop{false};
  Mutex mutex;
  CondVar finished;
  int epochs = 0;
  std::vector<std::thread> students;
  for (int s = 0; s < 2; ++s) {
    students.emplace_back([&] {
      const auto student = Student(Both());
      while (!stop && !HasFatalFailure()) {
        Epoch(*student);
        const MutexLock lock(mutex);
        ++epochs;
        finished.NotifyAll();
      }
    });
  }
  const auto await_epochs = [&](int more) {
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    const MutexLock lock(mutex);
    const int until = epochs + more;
    while (epochs < until && finished.WaitUntil(mutex, deadline)) continue;
    EXPECT_GE(epochs, until);
  };
  await_epochs(2);
  const int64_t warm = teacher_.targets();
  EXPECT_EQ(warm, 2 * kSamples);
  ASSERT_TRUE(cluster_->Kill(0).ok());
  ASSERT_TRUE(cluster_->Kill(1).ok());
  await_epochs(4);
  EXPECT_GT(teacher_.targets(), warm) << "what cannot be read is computed again";
  ASSERT_TRUE(cluster_->Revive(1).ok());
  ASSERT_TRUE(cluster_->Revive(0).ok());
  await_epochs(4);
  stop = true;
  for (std::thread& student : students) student.join();
  // The store is whole, and serves again.
  const auto store = OpenRadosStore(StoreOptions(name_));
  ASSERT_TRUE(store.ok()) << store.status();
  const auto report = VerifyStore(**store, {});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->corrupted, 0);
  EXPECT_EQ(report->entries, 2 * kSamples);
  EXPECT_EQ((*store)->stats().entries, 2 * kSamples);
}

}  // namespace
}  // namespace reflux
