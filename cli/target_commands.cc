#include "cli/target_commands.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/connection.h"
#include "cli/set_text.h"
#include "cli/table.h"
#include "common/base/digest.h"
#include "common/base/exit_codes.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {
namespace {

std::string ShortDigest(const std::string& raw) {
  const absl::StatusOr<Digest> digest = Digest::FromBytes(raw);
  return digest.ok() ? digest->Short() : "-";
}

// "exact" from NUMERICS_MODE_EXACT.
std::string EnumWord(const std::string& name, size_t prefix) {
  return absl::AsciiStrToLower(name.size() > prefix ? name.substr(prefix) : name);
}

std::string NumericsText(const v1::Numerics& numerics) {
  return absl::StrCat(EnumWord(v1::NumericsMode_Name(numerics.mode()), 14), ", ",
                      EnumWord(v1::ComputeDType_Name(numerics.compute()), 14), ", ",
                      numerics.threads(), " threads, batch ", numerics.batch());
}

std::string PreprocessingText(const v1::Preprocessing& preprocessing) {
  return absl::StrCat(preprocessing.bgr() ? "BGR" : "RGB", " / ", preprocessing.divisor(),
                      ", mean ", absl::StrJoin(preprocessing.mean(), " "), ", deviation ",
                      absl::StrJoin(preprocessing.deviation(), " "));
}

std::string SetsTable(const v1::ListTargetSetsResponse& sets, int64_t now) {
  std::vector<std::vector<std::string>> rows = {
      {"SET", "TAP", "CODEC", "ENTRIES", "SIZE", "LAST USED", "LEASE"}};
  for (const v1::TargetSet& set : sets.sets()) {
    rows.push_back({set.id(), set.spec().tap(), CodecWord(set.spec().codec()),
                    absl::StrCat(set.entries()), BytesText(set.bytes()),
                    set.last_used_unix_seconds() == 0
                        ? "-"
                        : AgeText(now - set.last_used_unix_seconds()) + " ago",
                    LeaseText(set, now)});
  }
  return TableText(rows);
}

std::string StatsText(const v1::CacheStats& stats) {
  const int64_t asked = stats.hits() + stats.misses();
  return TableText(
      {{"folder:", stats.directory()},
       {"entries:", absl::StrCat(stats.entries())},
       {"size:",
        absl::StrCat(BytesText(stats.live_bytes()), " of ",
                     stats.capacity_bytes() == 0 ? "the disk" : BytesText(stats.capacity_bytes()))},
       {"on disk:", BytesText(stats.disk_bytes())},
       {"free disk:", BytesText(stats.free_disk_bytes())},
       {"hits:", asked == 0 ? "none asked"
                            : absl::StrCat(stats.hits(), " of ", asked, " (",
                                           FixedText(100.0 * stats.hits() / asked, 1), " %)")},
       {"fills:", absl::StrCat(stats.fills())},
       {"corrupted:", absl::StrCat(stats.corrupted())},
       {"read errors:", absl::StrCat(stats.read_errors())},
       {"evicted:", absl::StrCat(stats.evicted())},
       {"passed through:", absl::StrCat(stats.passed_through())},
       {"storing:", stats.storing() ? "yes" : "no: full or not writable, targets pass through"}});
}

std::string TeacherText(const v1::TeacherInfo& info) {
  std::vector<std::vector<std::string>> rows = {
      {"model:", info.model()},
      {"classes:", absl::StrCat(info.num_classes())},
      {"digest:", ShortDigest(info.identity().digest())},
      {"preprocessing:", PreprocessingText(info.identity().preprocessing())},
      {"numerics:", NumericsText(info.identity().numerics())},
      {"mIoU:", info.miou() < 0 ? "not evaluated" : FixedText(info.miou(), 2) + " %"},
      {"images inferred:", absl::StrCat(info.images_inferred())},
      {"version:", info.build_version()}};
  for (const v1::TeacherInfo::Tap& tap : info.taps()) {
    rows.push_back({absl::StrCat("tap ", tap.name(), ":"),
                    absl::StrCat(tap.channels(), " channels, stride ", tap.stride())});
  }
  return TableText(rows);
}

}  // namespace

int ListTargets(Terminal& terminal, const std::string& endpoint) {
  const auto sets = Call<v1::CacheAdminService>(
      endpoint, &v1::CacheAdminService::Stub::ListTargetSets, v1::ListTargetSetsRequest());
  if (!sets.ok()) return Fail(terminal, sets.status());
  terminal.out << (terminal.json ? MessageJson(*sets, true)
                                 : SetsTable(*sets, absl::ToUnixSeconds(absl::Now())));
  return kExitDone;
}

int CacheStats(Terminal& terminal, const std::string& endpoint) {
  const auto stats = Call<v1::CacheAdminService>(endpoint, &v1::CacheAdminService::Stub::Stats,
                                                 v1::CacheStatsRequest());
  if (!stats.ok()) return Fail(terminal, stats.status());
  terminal.out << (terminal.json ? MessageJson(*stats, true) : StatsText(*stats));
  return kExitDone;
}

int CacheVerify(Terminal& terminal, const std::string& endpoint) {
  // Terabytes take their time.
  const auto result = Call<v1::CacheAdminService>(endpoint, &v1::CacheAdminService::Stub::Verify,
                                                  v1::VerifyRequest(), absl::Hours(12));
  if (!result.ok()) return Fail(terminal, result.status());
  if (terminal.json) {
    terminal.out << MessageJson(*result, true);
  } else {
    terminal.out << result->entries() << " entries, " << BytesText(result->bytes()) << " read, "
                 << result->corrupted() << " corrupted"
                 << (result->corrupted() > 0 ? " and dropped" : "") << std::endl;
  }
  return result->corrupted() > 0 ? kExitFailed : kExitDone;
}

int TeacherInfo(Terminal& terminal, const std::string& endpoint) {
  const auto info = Call<v1::TargetService>(endpoint, &v1::TargetService::Stub::GetTeacherInfo,
                                            v1::GetTeacherInfoRequest());
  if (!info.ok()) return Fail(terminal, info.status());
  terminal.out << (terminal.json ? MessageJson(*info, true) : TeacherText(*info));
  return kExitDone;
}

}  // namespace reflux
