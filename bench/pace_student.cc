#include "bench/pace_student.h"

#include <limits>
#include <memory>

#include "absl/time/clock.h"
#include "common/base/ordered_prefetcher.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

using Rows = std::unique_ptr<BatchRows>;

std::vector<int> NumbersOf(const PaceLoad& load, int64_t batch) {
  std::vector<int> numbers;
  for (int i = 0; i < load.options.batch; ++i) {
    const int64_t place = batch * load.options.batch + i;
    numbers.push_back(load.order[place % static_cast<int64_t>(load.order.size())]);
  }
  return numbers;
}

absl::StatusOr<Rows> MakeBatch(TargetReader& reader, const PaceLoad& load, int64_t number) {
  const auto pages =
      load.options.huge_pages ? BatchRows::Pages::kFreshHuge : BatchRows::Pages::kFresh;
  auto rows = std::make_unique<BatchRows>(load.options.batch, load.value_bytes, pages);
  REFLUX_RETURN_IF_ERROR(reader.Read(NumbersOf(load, number), *rows));
  return rows;
}

}  // namespace

absl::StatusOr<double> MeasureStall(TargetReader& reader, const PaceLoad& load,
                                    absl::Duration pace) {
  OrderedPrefetcher<Rows> batches(
      {.end = std::numeric_limits<int64_t>::max(),
       .depth = load.options.depth,
       .threads = load.options.threads},
      [&](int64_t number, const auto&) { return MakeBatch(reader, load, number); });
  REFLUX_ASSIGN_OR_RETURN(Rows batch, batches.Next());
  const absl::Duration waiting = load.options.steps * pace;
  const absl::Time start = absl::Now();
  absl::Duration wall;
  for (int step = 0; step < load.options.steps && wall <= (1 + kMaxStall) * waiting; ++step) {
    const absl::Time end = absl::Now() + pace;
    batch.reset();  // a large one takes a while
    absl::SleepFor(end - absl::Now());
    REFLUX_ASSIGN_OR_RETURN(batch, batches.Next());
    wall = absl::Now() - start;
  }
  return absl::FDivDuration(wall - waiting, waiting);
}

}  // namespace reflux
