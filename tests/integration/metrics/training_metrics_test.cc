// docs/metrics.md against the pages of teacher and worker: their own Register functions on a live
// registry, since the programs need a network and data to start.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache/caching_source.h"
#include "common/metrics/prometheus_registry.h"
#include "common/targets/remote_source.h"
#include "common/targets/rendezvous_source.h"
#include "common/targets/target_service.h"
#include "distill/teacher/local_source.h"
#include "student_worker/observers.h"
#include "teacher_server/teacher_server.h"
#include "tests/integration/metrics/metrics_page.h"

namespace reflux {
namespace {

class TrainingMetricsTest : public testing::Test {
 protected:
  void Serve(const MetricLabels& common = {}) {
    auto started = PrometheusRegistry::Start("127.0.0.1:0", common);
    ASSERT_TRUE(started.ok()) << started.status();
    registry_ = *std::move(started);
  }
  MetricLines Shown(const std::set<std::string>& common = {}) {
    const auto page = Scrape(registry_->address());
    EXPECT_TRUE(page.ok()) << page.status();
    return ParsePage(page.value_or(""), common);
  }
  static MetricLines Documented(const std::string& program) {
    const auto rows = ReadDocumented(program);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.value_or(MetricLines{});
  }
  // As after a step and an evaluation.
  static void Observe(MetricsObserver& observer) {
    observer.OnStep({.step = 1, .total_steps = 2, .losses = {{"ce", 1.0}, {"kd", 0.5}}});
    observer.OnEvaluation({.step = 1, .miou = 40});
    observer.OnEvaluation({.step = 1, .top1 = 70, .top5 = 90});  // of a classifier
  }

  std::unique_ptr<PrometheusRegistry> registry_;
};

TEST_F(TrainingMetricsTest, TheTeachersPageIsTheDocuments) {
  Serve();
  LocalSourceMetrics::Register(*registry_);
  BatchingMetrics::Register(*registry_);
  TeacherServerMetrics::Register(*registry_);
  TargetServiceMetrics::Register(*registry_, "teacher");
  EXPECT_EQ(Shown(), Documented("reflux-teacher"));
}

TEST_F(TrainingMetricsTest, TheWorkersPageIsTheDocuments) {
  Serve({{"job_id", "job-1"}, {"rank", "0"}});
  MetricsObserver observer(*registry_, 0);
  RemoteSourceMetrics::Register(*registry_, "worker").AddFileReads(*registry_, "worker");
  RendezvousMetrics::Register(*registry_, "worker");
  Observe(observer);
  const MetricLines shown = Shown({"job_id", "rank"});
  EXPECT_EQ(shown, Documented("reflux-worker"));
  EXPECT_THAT(Shown(), testing::Contains("reflux_worker_step gauge job_id,rank"));
}

TEST_F(TrainingMetricsTest, OtherRanksShowNoTrainingValues) {
  Serve();
  MetricsObserver observer(*registry_, 1);
  Observe(observer);
  const MetricLines shown = Shown();
  EXPECT_THAT(Documented("reflux-worker"), testing::IsSupersetOf(shown));
  EXPECT_THAT(shown, testing::Contains("reflux_worker_step_seconds histogram "));
  EXPECT_THAT(shown, testing::Not(testing::Contains(testing::HasSubstr("loss"))));
}

TEST_F(TrainingMetricsTest, EachRankCountsItsShareAndReportsTheWholeRate) {
  Serve();
  MetricsObserver metrics(*registry_, 1);
  ProgressObserver progress;
  const StepReport report{.step = 1, .seconds = 2, .global_images = 8, .images = 3};
  for (int i = 0; i < 2; ++i) metrics.OnStep(report);
  progress.OnStep(report);
  EXPECT_THAT(Scrape(registry_->address()).value_or(""),
              testing::HasSubstr("\nreflux_worker_images_total 6\n"));
  EXPECT_EQ(progress.Snapshot().images_per_second(), 4);
}

TEST_F(TrainingMetricsTest, AWorkerWithItsOwnTeacherShowsDocumentedNames) {
  Serve();
  LocalSourceMetrics::Register(*registry_);
  EXPECT_EQ(Shown().size(), 3u);
  EXPECT_THAT(Documented("reflux-teacher"), testing::IsSupersetOf(Shown()));
  CachingSourceMetrics::Register(*registry_);
  MetricLines documented = Documented("reflux-teacher");
  documented.merge(Documented("reflux-cache"));
  const MetricLines both = Shown();
  EXPECT_EQ(both.size(), 14u) << "docs/metrics.md says eleven of the cache, three of the teacher";
  EXPECT_THAT(documented, testing::IsSupersetOf(both));
}

}  // namespace
}  // namespace reflux
