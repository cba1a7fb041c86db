// Figures of a plan for people, and what the plans of a job and of a sweep say alike. Torch-free,
// thread-safe.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "planner/measure_machine.h"
#include "planner/plan_text.h"

namespace reflux {

using TextRows = std::vector<std::vector<std::string>>;

std::string Bytes(double bytes);
std::string Clock(double seconds);
std::string Seconds(double seconds);  // "0.123"; "-" for what was not measured

// "logits fp16 [11, 45, 60] 58.0 KiB; ..."; teachers are named where there are several.
std::string TapsText(const std::vector<PlanTap>& taps);
nlohmann::json TapsJson(const std::vector<PlanTap>& taps);

// How fast it is, and what makes that doubtful.
std::string DriveText(const DriveSpeed& drive);
std::string DriveWarning(const DriveSpeed& drive);
nlohmann::json MachineJson(const MachineMeasure& machine);

}  // namespace reflux
