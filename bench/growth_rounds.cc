#include "bench/growth_rounds.h"

#include <algorithm>
#include <memory>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/cache_process.h"
#include "bench/cache_program.h"
#include "bench/source_reader.h"
#include "bench/store_readers.h"
#include "common/base/status_macros.h"
#include "common/targets/remote_source.h"

namespace reflux {
namespace {

bool AreWithin(const std::vector<int>& numbers, int least, int most) {
  return !numbers.empty() && std::all_of(numbers.begin(), numbers.end(), [&](int number) {
    return number >= least && number <= most;
  });
}

// A server on a store of its own, and the connections of as many students as it will ever have.
struct Served {
  int entries = 0;
  std::unique_ptr<ChildProcess> process;
  std::vector<std::unique_ptr<TargetSource>> connections;
};

absl::StatusOr<Served> Serve(const GrowthOptions& options, int entries) {
  const std::string folder = absl::StrCat(options.dir, "/", entries);
  REFLUX_RETURN_IF_ERROR(WriteStore(options.stored(entries), folder));
  Served served{.entries = entries};
  REFLUX_ASSIGN_OR_RETURN(served.process, StartCacheProcess(options.cache_program, folder));
  const int most = *std::max_element(options.students.begin(), options.students.end());
  for (int i = 0; i < most; ++i) {
    served.connections.push_back(MakeRemoteSource({.endpoint = served.process->address()}));
  }
  return served;
}

// One student: `calls` calls for values at random.
absl::Status Study(TargetSource& source, const StoredValues& values, int64_t calls, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<int> draw(0, values.count - 1);
  BatchRows rows(BatchRows::kRows, values.value_bytes());
  std::vector<int> numbers(GrowthOptions::kCallValues);
  for (int64_t call = 0; call < calls; ++call) {
    for (int& number : numbers) number = draw(random);
    REFLUX_RETURN_IF_ERROR(FetchIntoRows(source, numbers, rows));
  }
  return absl::OkStatus();
}

absl::Status StudyAll(const GrowthOptions& options, const Served& served, int students,
                      uint64_t seed) {
  const int64_t calls = options.reads / GrowthOptions::kCallValues / students;
  std::vector<absl::Status> ended(static_cast<size_t>(students));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < ended.size(); ++i) {
    threads.emplace_back([&, i] {
      ended[i] = Study(*served.connections[i], options.stored(served.entries), calls, seed + i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : ended) REFLUX_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

absl::Status Measure(const GrowthOptions& options, const Served& served, uint64_t seed,
                     GrowthRow& row) {
  const double cpu = served.process->CpuSeconds();
  const absl::Time start = absl::Now();
  REFLUX_RETURN_IF_ERROR(StudyAll(options, served, row.students, seed));
  row.seconds.push_back(absl::ToDoubleSeconds(absl::Now() - start));
  row.server_cpu_seconds.push_back(served.process->CpuSeconds() - cpu);
  row.resident_bytes = served.process->AnonymousBytes();
  return absl::OkStatus();
}

}  // namespace

absl::Status GrowthOptions::Resolve() {
  if (channels < 1 || channels > 1024) return absl::InvalidArgumentError("--channels: 1..1024");
  if (!AreWithin(entries, 100, 10'000'000)) {
    return absl::InvalidArgumentError("--entries: each 100..10000000");
  }
  if (!AreWithin(students, 1, 64)) return absl::InvalidArgumentError("--students: each 1..64");
  const int most = *std::max_element(students.begin(), students.end());
  if (reads < int64_t{kCallValues} * most) {
    return absl::InvalidArgumentError(
        absl::StrCat("--reads: at least ", kCallValues, " for each student"));
  }
  if (rounds < 1) return absl::InvalidArgumentError("--rounds: 1 or more");
  std::sort(entries.begin(), entries.end());
  std::sort(students.begin(), students.end());
  return FindCacheProgram(cache_program);
}

absl::StatusOr<std::vector<GrowthRow>> MeasureGrowth(const GrowthOptions& options) {
  std::vector<Served> servers;
  std::vector<GrowthRow> rows;
  for (const int entries : options.entries) {
    REFLUX_ASSIGN_OR_RETURN(Served served, Serve(options, entries));
    servers.push_back(std::move(served));
    for (const int students : options.students) rows.push_back({entries, students});
    // Files come into the page cache, connections are made.
    REFLUX_RETURN_IF_ERROR(StudyAll(options, servers.back(), options.students.back(), entries));
  }
  for (int round = 0; round < options.rounds; ++round) {
    // Neighbours in time are those that are compared.
    for (size_t student = 0; student < options.students.size(); ++student) {
      for (size_t server = 0; server < servers.size(); ++server) {
        REFLUX_RETURN_IF_ERROR(Measure(options, servers[server],
                                       static_cast<uint64_t>(1000 * (round + 1)),
                                       rows[server * options.students.size() + student]));
      }
    }
  }
  return rows;
}

}  // namespace reflux
