#include "cli/cache_commands.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cli/connection.h"
#include "cli/set_text.h"
#include "cli/table.h"
#include "common/base/exit_codes.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {
namespace {

using Admin = v1::CacheAdminService;

constexpr int64_t kDay = 86400;
constexpr int64_t kMaxPinSeconds = 3650 * kDay;

std::string UsageTable(const v1::ListTargetSetsResponse& sets, const v1::CacheStats& stats) {
  std::vector<std::vector<std::string>> rows = {{"SET", "ENTRIES", "LIVE", "LEASE"}};
  const int64_t now = absl::ToUnixSeconds(absl::Now());
  for (const v1::TargetSet& set : sets.sets()) {
    rows.push_back({FullSetName(set), absl::StrCat(set.entries()), BytesText(set.bytes()),
                    LeaseText(set, now)});
  }
  rows.push_back({"all", absl::StrCat(stats.entries()), BytesText(stats.live_bytes()), ""});
  const int64_t rest = std::max<int64_t>(0, stats.disk_bytes() - stats.live_bytes());
  return TableText(rows) + "on disk: " + BytesText(stats.disk_bytes()) + ", of which " +
         BytesText(rest) +
         " are dead values, indexes and the log; free: " + BytesText(stats.free_disk_bytes()) +
         "\n";
}

}  // namespace

absl::StatusOr<int64_t> ParseTerm(const std::string& text) {
  const absl::Status bad = absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is no time from 1s to 3650d: give e.g. 24h, 90m or 7d"));
  absl::string_view rest = text;
  int64_t days = 0;
  if (const size_t mark = rest.find('d'); mark != absl::string_view::npos) {
    if (!absl::SimpleAtoi(rest.substr(0, mark), &days) || days < 0 || days > 3650) return bad;
    rest.remove_prefix(mark + 1);
  }
  absl::Duration term;
  if (!rest.empty() && !absl::ParseDuration(rest, &term)) return bad;
  term += absl::Seconds(days * kDay);
  if (text.empty() || term < absl::Seconds(1) || term > absl::Seconds(kMaxPinSeconds)) return bad;
  return absl::ToInt64Seconds(term);
}

int RemoveTargets(Terminal& terminal, const std::string& endpoint, const SetFlags& flags) {
  v1::RemoveTargetSetsRequest request;
  request.set_set(flags.set);
  request.set_all(flags.all);
  request.set_force(flags.force);
  const auto removed =
      Call<Admin>(endpoint, &Admin::Stub::RemoveTargetSets, request, absl::Minutes(10));
  if (!removed.ok()) return Fail(terminal, removed.status());
  if (terminal.json) {
    terminal.out << MessageJson(*removed, true);
    return kExitDone;
  }
  for (const v1::TargetSet& set : removed->sets()) {
    terminal.out << "removed " << FullSetName(set) << ": " << set.entries() << " entries, "
                 << BytesText(set.bytes()) << "\n";
  }
  return kExitDone;
}

int PinTargets(Terminal& terminal, const std::string& endpoint, const SetFlags& flags) {
  v1::PinTargetSetsRequest request;
  request.set_set(flags.set);
  request.set_all(flags.all);
  if (!flags.release) {
    const absl::StatusOr<int64_t> seconds = ParseTerm(flags.term);
    if (!seconds.ok()) {
      terminal.err << "reflux: --for: " << seconds.status().message() << std::endl;
      return kExitUsage;
    }
    request.set_for_seconds(*seconds);
  }
  const auto pinned = Call<Admin>(endpoint, &Admin::Stub::PinTargetSets, request);
  if (!pinned.ok()) return Fail(terminal, pinned.status());
  if (terminal.json) {
    terminal.out << MessageJson(*pinned, true);
    return kExitDone;
  }
  const int64_t now = absl::ToUnixSeconds(absl::Now());
  for (const v1::TargetSet& set : pinned->sets()) {
    terminal.out << FullSetName(set) << ": " << LeaseText(set, now) << "\n";
  }
  return kExitDone;
}

int CacheDiskUsage(Terminal& terminal, const std::string& endpoint) {
  const auto sets =
      Call<Admin>(endpoint, &Admin::Stub::ListTargetSets, v1::ListTargetSetsRequest());
  if (!sets.ok()) return Fail(terminal, sets.status());
  const auto stats = Call<Admin>(endpoint, &Admin::Stub::Stats, v1::CacheStatsRequest());
  if (!stats.ok()) return Fail(terminal, stats.status());
  if (terminal.json) {
    terminal.out << "{\"sets\": " << MessageJson(*sets, false)
                 << ", \"stats\": " << MessageJson(*stats, false) << "}\n";
  } else {
    terminal.out << UsageTable(*sets, *stats);
  }
  return kExitDone;
}

int CacheCollectGarbage(Terminal& terminal, const std::string& endpoint, double to_gib) {
  v1::CollectGarbageRequest request;
  request.set_target_bytes(to_gib < 0 ? -1 : static_cast<int64_t>(to_gib * (int64_t{1} << 30)));
  // Terabytes take their time.
  const auto done = Call<Admin>(endpoint, &Admin::Stub::CollectGarbage, request, absl::Hours(12));
  if (!done.ok()) return Fail(terminal, done.status());
  if (terminal.json) {
    terminal.out << MessageJson(*done, true);
  } else {
    terminal.out << "evicted " << BytesText(done->evicted_bytes()) << ", gave back "
                 << BytesText(done->reclaimed_bytes()) << " of disk; "
                 << BytesText(done->live_bytes()) << " live, " << BytesText(done->disk_bytes())
                 << " on disk" << std::endl;
  }
  return kExitDone;
}

}  // namespace reflux
