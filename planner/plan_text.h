// What `reflux plan` prints. Torch-free.
#pragma once

#include <optional>
#include <string>

#include "planner/advice.h"
#include "planner/coverage.h"
#include "planner/drive_speed.h"
#include "planner/forecast.h"

namespace reflux {

// One tap of a view, as stored: "logits fp16 [11, 45, 60] 58.0 KiB".
struct PlanTap {
  std::string teacher;  // in the job
  TargetSpec spec;
  std::array<int32_t, 3> shape = {0, 0, 0};
  double bytes = 0;
};

struct Plan {
  std::string name;  // of the job
  ForecastJob job;
  std::string views, codec;
  std::vector<PlanTap> taps;
  Coverage coverage;
  Measured measured;
  DriveSpeed drive;
  std::vector<CodecMeasure> codecs;
  std::vector<ViewRow> view_rows;
  std::string whole;  // how near maps of whole images come to live ones, or why there are none
  Forecast forecast;
  Advice view_advice, reduction_advice, codec_advice;
  // Why this is about another view policy than the job's; empty if it is not.
  std::string note;
};

std::string PlanText(const Plan& plan);
std::string PlanJson(const Plan& plan);

// Warnings about what was not measured, before those of the forecast.
std::vector<std::string> PlanWarnings(const Plan& plan);

}  // namespace reflux
