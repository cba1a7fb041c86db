#include "planner/plan_figures.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/table.h"
#include "common/base/progress_bar.h"

namespace reflux {
namespace {

std::string Rate(double bytes) { return bytes > 0 ? Bytes(bytes) + "/s" : "not measured"; }

}  // namespace

std::string Bytes(double bytes) { return BytesText(std::llround(bytes)); }
std::string Clock(double seconds) { return ClockText(absl::Seconds(seconds)); }
std::string Seconds(double seconds) { return seconds > 0 ? absl::StrFormat("%.3g", seconds) : "-"; }

std::string TapsText(const std::vector<PlanTap>& taps) {
  std::vector<std::string> texts;
  for (const PlanTap& tap : taps) {
    const bool several = tap.teacher != taps.front().teacher || tap.teacher != taps.back().teacher;
    texts.push_back(absl::StrFormat("%s%s %s [%d, %d, %d] %s", several ? tap.teacher + " " : "",
                                    tap.spec.name(), Name(tap.spec.codec), tap.shape[0],
                                    tap.shape[1], tap.shape[2], Bytes(tap.bytes)));
  }
  return absl::StrJoin(texts, "; ");
}

nlohmann::json TapsJson(const std::vector<PlanTap>& taps) {
  nlohmann::json json = nlohmann::json::array();
  for (const PlanTap& tap : taps) {
    json.push_back({{"teacher", tap.teacher},
                    {"tap", tap.spec.name()},
                    {"codec", Name(tap.spec.codec)},
                    {"shape", tap.shape},
                    {"bytes", tap.bytes}});
  }
  return json;
}

std::string DriveText(const DriveSpeed& drive) {
  if (drive.bytes == 0) return "of the cache servers, not measured";
  return absl::StrFormat("writes %s, reads %s%s", Rate(drive.write), Rate(drive.read),
                         drive.past_page_cache ? ", past the page cache" : "");
}

std::string DriveWarning(const DriveSpeed& drive) {
  if (drive.bytes == 0) {
    return "neither the drives nor the memory of the cache servers' machines were measured: steps "
           "may wait for them";
  }
  if (!drive.past_page_cache) {
    return "this file system cannot be written past the page cache: the drive's real speed is not "
           "known";
  }
  if (drive.slowed) {
    return absl::StrCat(
        "the drive slows down after its own fast cache; the speed after that is given (",
        Bytes(static_cast<double>(drive.bytes)), " written)");
  }
  return absl::StrCat(
      "the drive was written with ", Bytes(static_cast<double>(drive.bytes)),
      "; a fast cache of the drive that is larger hides its real speed (--drive-mib)");
}

nlohmann::json MachineJson(const MachineMeasure& machine) {
  return {{"drive_write", machine.drive.write},
          {"drive_read", machine.drive.read},
          {"memory_bytes", machine.memory_bytes},
          {"free_disk_bytes", machine.free_disk_bytes}};
}

}  // namespace reflux
