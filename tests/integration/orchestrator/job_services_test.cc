// Teachers and caches that jobs share.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/exit_codes.h"
#include "tests/integration/orchestrator/job_service_fixture.h"

namespace reflux {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(JobServiceTest, StartsTheSharedServicesFirstAndWiresThem) {
  const v1::Job job = MustSubmit(DistilSpec());
  EXPECT_EQ(job.state(), v1::JOB_STATE_STARTING);
  const auto teacher = processes_.Await("teacher-");
  const auto cache = processes_.Await("cache-default-");
  EXPECT_THAT(processes_.Living(), SizeIs(2)) << "workers wait";
  EXPECT_EQ(ValueOf(cache.spec, "--teacher"), PoolOf(teacher.spec));
  EXPECT_THAT(ValueOf(cache.spec, "--dir"), HasSubstr("/state/caches/default/"));
  EXPECT_TRUE(std::filesystem::exists(ValueOf(teacher.spec, "--job")));
  EXPECT_EQ(ValueOf(teacher.spec, "--teacher"), "default");
  EXPECT_EQ(ValueOf(teacher.spec, "--launch-id"), teacher.spec.launch_id);

  RegisterService(teacher, ValueOf(teacher.spec, "--role"));
  RegisterService(cache, ValueOf(cache.spec, "--role"));
  const LaunchSpec worker = processes_.Await(".g1.r0").spec;
  EXPECT_EQ(ValueOf(worker, "--targets"), "default=@" + ValueOf(cache.spec, "--endpoint-file"));
  EXPECT_THAT(Get(job.job_id()).processes(), SizeIs(4));

  const v1::Job second = MustSubmit(DistilSpec());
  processes_.Await(second.job_id() + ".g1.r0");
  EXPECT_THAT(processes_.Living(), SizeIs(6)) << "teacher and cache are shared";
}

TEST_F(JobServiceTest, WorkersAreToldOfSeveralCaches) {
  v1::JobSpec spec = DistilSpec();
  spec.mutable_run()->set_caches(3);
  const v1::Job job = MustSubmit(spec);
  const auto teacher = processes_.Await("teacher-");
  RegisterService(teacher, ValueOf(teacher.spec, "--role"));
  const auto second = processes_.Await(".1.n1"), third = processes_.Await(".2.n1");
  const auto first = processes_.Get(absl::StrReplaceAll(second.spec.launch_id, {{".1.n1", ".n1"}}));
  std::vector<std::string> endpoints, folders;
  for (const auto& cache : {first, second, third}) {
    endpoints.push_back("@" + ValueOf(cache.spec, "--endpoint-file"));
    folders.push_back(ValueOf(cache.spec, "--dir"));
    RegisterService(cache, ValueOf(cache.spec, "--role"));
  }
  EXPECT_THAT(std::set<std::string>(folders.begin(), folders.end()), SizeIs(3));
  const LaunchSpec worker = processes_.Await(job.job_id() + ".g1.r0").spec;
  EXPECT_EQ(ValueOf(worker, "--targets"), "default=" + absl::StrJoin(endpoints, ","));
}

TEST_F(JobServiceTest, CachesShareTheStoreOfTheSite) {
  StopOrchestrator();
  options_.cache_site = {
      .store = "rados:targets", .ceph_conf = "/etc/site.conf", .capacity_gib = 2.5};
  StartOrchestrator();
  v1::JobSpec spec = DistilSpec();
  spec.mutable_run()->set_caches(2);
  MustSubmit(spec);
  const LaunchSpec second = processes_.Await(".1.n1").spec;
  const LaunchSpec first =
      processes_.Get(absl::StrReplaceAll(second.launch_id, {{".1.n1", ".n1"}})).spec;
  for (const LaunchSpec& cache : {first, second}) {
    EXPECT_THAT(ValueOf(cache, "--store"), testing::StartsWith("rados:targets/default."));
    EXPECT_EQ(ValueOf(cache, "--ceph-conf"), "/etc/site.conf");
    EXPECT_EQ(ValueOf(cache, "--capacity-gib"), "2.5");
    EXPECT_EQ(ValueOf(cache, "--dir"), "");
  }
  EXPECT_EQ(ValueOf(first, "--store"), ValueOf(second, "--store"));
}

TEST_F(JobServiceTest, WithoutACacheWorkersAskTheTeacher) {
  v1::JobSpec spec = DistilSpec();
  spec.mutable_targets()->set_cache("none");
  const v1::Job job = MustSubmit(spec);
  const auto teacher = processes_.Await("teacher-");
  RegisterService(teacher, ValueOf(teacher.spec, "--role"));
  const LaunchSpec worker = processes_.Await(job.job_id() + ".g1.r0").spec;
  EXPECT_EQ(ValueOf(worker, "--targets"), "default=" + PoolOf(teacher.spec));
}

TEST_F(JobServiceTest, EachTeacherOfAJobHasItsPoolAndItsCache) {
  v1::JobSpec spec = DistilSpec();
  v1::TeacherSpec wide = spec.teachers().at("default");
  wide.set_batch(wide.batch() + 1);
  (*spec.mutable_teachers())["wide"] = wide;
  spec.mutable_losses()->mutable_icsd()->set_teacher("wide");
  const v1::Job job = MustSubmit(spec);
  EXPECT_THAT(processes_.Living(), SizeIs(4)) << "two teachers, two caches";
  std::set<std::string> caches, teachers;
  for (const std::string& id : processes_.Living()) {
    const auto service = processes_.Get(id);
    RegisterService(service, ValueOf(service.spec, "--role"));
    const bool cache = ValueOf(service.spec, "--role").starts_with("cache/");
    (cache ? caches : teachers).insert(ValueOf(service.spec, "--teacher"));
  }
  EXPECT_THAT(teachers, testing::ElementsAre("default", "wide"));
  EXPECT_THAT(caches, SizeIs(2)) << "each asks a pool of its own";
  const LaunchSpec worker = processes_.Await(job.job_id() + ".g1.r0").spec;
  std::vector<std::string> targets;
  for (size_t i = 0; i + 1 < worker.arguments.size(); ++i) {
    if (worker.arguments[i] == "--targets") targets.push_back(worker.arguments[i + 1]);
  }
  EXPECT_THAT(targets, testing::ElementsAre(testing::StartsWith("default=@"),
                                            testing::StartsWith("wide=@")));
}

TEST_F(JobServiceTest, APoolOfTeachersGrowsWithTheJobThatWantsMore) {
  const v1::Job small = MustSubmit(DistilSpec());
  const auto first = processes_.Await("teacher-");
  processes_.Await("cache-default-");
  v1::JobSpec spec = DistilSpec();
  spec.mutable_run()->set_teachers(3);
  MustSubmit(spec);
  std::set<std::string> roles = {ValueOf(first.spec, "--role")};
  for (int i = 1; i < 3; ++i) {
    const auto more = processes_.Await(absl::StrCat("-", i, ".n1"));
    roles.insert(ValueOf(more.spec, "--role"));
    EXPECT_EQ(PoolOf(more.spec), PoolOf(first.spec)) << "the running cache finds it";
  }
  EXPECT_THAT(roles, SizeIs(3));
  EXPECT_THAT(processes_.Living(), SizeIs(4)) << "three teachers, the cache they share";
}

TEST_F(JobServiceTest, TheOnlyTeacherMayHaveAnyName) {
  v1::JobSpec spec = DistilSpec();
  const v1::TeacherSpec teacher = spec.teachers().at("default");
  spec.clear_teachers();
  (*spec.mutable_teachers())["big"] = teacher;
  MustSubmit(spec);
  EXPECT_EQ(ValueOf(processes_.Await("teacher-").spec, "--teacher"), "big");
}

TEST_F(JobServiceTest, ADeadServiceIsStartedAgainInItsRole) {
  const v1::Job job = StartDistilling();
  const auto first = processes_.Await("teacher-");
  processes_.End(first.spec.launch_id, -1, 9);
  const auto second = processes_.Await("teacher-");
  EXPECT_NE(second.spec.launch_id, first.spec.launch_id);
  EXPECT_EQ(ValueOf(second.spec, "--endpoint-file"), ValueOf(first.spec, "--endpoint-file"));
  EXPECT_EQ(Get(job.job_id()).state(), v1::JOB_STATE_RUNNING) << "the job goes on meanwhile";
}

TEST_F(JobServiceTest, AJobFailsWithATeacherThatCannotWork) {
  const v1::Job job = MustSubmit(DistilSpec());
  const auto teacher = processes_.Await("teacher-");
  std::filesystem::create_directories(std::filesystem::path(teacher.spec.log_file).parent_path());
  std::ofstream(teacher.spec.log_file) << "teacher: 4.1 % mIoU, expected 77\n";
  processes_.End(teacher.spec.launch_id, kPermanentFailure);
  EXPECT_THAT(AwaitState(job.job_id(), v1::JOB_STATE_FAILED).message(), HasSubstr("expected 77"));
}

TEST_F(JobServiceTest, AJobGoesOnWhileATeacherOfItsPoolIsLeft) {
  v1::JobSpec spec = DistilSpec();
  spec.mutable_run()->set_teachers(2);
  const v1::Job job = MustSubmit(spec);
  const auto first = processes_.Await("-0.n1"), second = processes_.Await("-1.n1");
  processes_.End(second.spec.launch_id, kPermanentFailure);
  RegisterService(first, ValueOf(first.spec, "--role"));
  const auto cache = processes_.Await("cache-");
  RegisterService(cache, ValueOf(cache.spec, "--role"));
  processes_.Await(job.job_id() + ".g1.r1");
  processes_.End(first.spec.launch_id, kPermanentFailure);
  for (const char* rank : {".g1.r0", ".g1.r1"}) {
    processes_.AwaitStop(job.job_id() + rank);
    processes_.End(job.job_id() + rank, kExitStopped);
  }
  AwaitState(job.job_id(), v1::JOB_STATE_FAILED);
}

TEST_F(JobServiceTest, ServicesLingerAndThenStop) {
  StopOrchestrator();
  options_.service_linger = absl::Milliseconds(20);
  StartOrchestrator();
  const v1::Job job = StartDistilling();
  const auto teacher = processes_.Await("teacher-");
  const auto cache = processes_.Await("cache-");
  EXPECT_THAT(processes_.Get(cache.spec.launch_id).stops, IsEmpty());
  for (int rank = 0; rank < 2; ++rank) {
    processes_.End(absl::StrCat(job.job_id(), ".g1.r", rank), kExitDone);
  }
  EXPECT_THAT(processes_.AwaitStop("cache-").stops, Contains(StopMode::kGraceful));
  EXPECT_THAT(processes_.Get(teacher.spec.launch_id).stops, IsEmpty()) << "the cache needs it";
  processes_.End(cache.spec.launch_id, kExitStopped);
  EXPECT_THAT(processes_.AwaitStop("teacher-").stops, Contains(StopMode::kGraceful));
  processes_.End(teacher.spec.launch_id, kExitStopped);
  EXPECT_THAT(processes_.Living(), IsEmpty()) << "and are not started again";
}

}  // namespace
}  // namespace reflux
