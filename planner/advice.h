// What a job should rather use, from what was measured: its codec, its views, what the teacher
// reduces. Pure arithmetic: torch-free, no I/O, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "planner/forecast.h"

namespace reflux {

struct Advice {
  std::string name;    // as the job file has it
  std::string reason;  // with the figures it rests on
};

// A codec measured on real maps of the job.
struct CodecMeasure {
  std::string name;
  double view_bytes = 0;
  double error = 0;  // root mean square of the difference, over that of the map
  double encode_seconds = 0, decode_seconds = 0;  // of one view
};

// `current` unless another serves better. Smaller ones are taken up to an error of 0.1 %, and up to
// 1 % when `current` does not fit on the disk or makes the run wait for it.
Advice AdviseCodec(const std::string& current, const std::vector<CodecMeasure>& codecs,
                   const ForecastJob& job, const Measured& measured);

// That `current` changes the maps by more than 1 %; empty if it does not, or was not measured.
std::optional<std::string> WarnOfCodec(const std::string& current,
                                       const std::vector<CodecMeasure>& codecs);

// Targets of one kind, of all teachers: of one replayed view, or of one whole image.
struct MapCost {
  double bytes = 0;
  double seconds = 0;    // the teachers alone: computed and stored
  double live_step = 0;  // of the student, whose targets are computed and stored
  double warm_step = 0;  // ... are in the embedded cache
};
struct KindCosts {
  MapCost replayed;
  std::optional<MapCost> whole;       // empty: the job cannot have it
  std::string whole_views = "whole";  // as `targets.views`
};

// What the job would cost with other views, from an empty cache.
struct ViewRow {
  std::string views;  // as `targets.views`
  double cache_bytes = 0, fill_seconds = 0;
  double run_seconds = 0;  // filling included, in the fastest mode that the job can have
};

// `whole` if it was measured, `replay: K` for K of 1, 4, 16 and the job's own, `live`.
std::vector<ViewRow> ForecastViews(const ForecastJob& job, const Measured& measured,
                                   const KindCosts& costs);

// Bytes of a view with `reduce: none` and with `auto`, equal where no loss lets the teacher reduce.
// `whole`: the views recommended are `whole`, whose maps cannot be reduced.
Advice AdviseReduction(double none_bytes, double auto_bytes, bool whole);

}  // namespace reflux
