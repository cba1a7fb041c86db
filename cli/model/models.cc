// reflux-model models: the networks there are, and what they cost.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/model/commands.h"
#include "common/base/exit_codes.h"
#include "common/base/status_macros.h"
#include "distill/models/build_model.h"
#include "distill/models/model_cost.h"

namespace reflux {
namespace {

constexpr int64_t kMinSide = 16, kMaxSide = 1 << 16;

struct Flags {
  std::vector<std::string> names;
  std::string size = "512x1024";
  int64_t classes = 19;
  bool json = false;
};

struct Size {
  int64_t height = 0, width = 0;
};

struct Row {
  ModelOptions options;  // resolved
  ModelCost cost;
  std::vector<TapInfo> taps;
};

absl::StatusOr<Size> ParseSize(const std::string& text) {
  const std::vector<std::string> sides = absl::StrSplit(text, 'x');
  Size size;
  const auto usable = [](int64_t side) { return side >= kMinSide && side <= kMaxSide; };
  if (sides.size() == 2 && absl::SimpleAtoi(sides[0], &size.height) &&
      absl::SimpleAtoi(sides[1], &size.width) && usable(size.height) && usable(size.width)) {
    return size;
  }
  return absl::InvalidArgumentError(absl::StrCat("--size ", text,
                                                 ": expected HEIGHTxWIDTH in pixels, ", kMinSide,
                                                 " to ", kMaxSide, ", for example 512x1024"));
}

absl::StatusOr<Row> Describe(const std::string& name, int64_t classes, const Size& size) {
  Row row;
  REFLUX_ASSIGN_OR_RETURN(row.options,
                          ResolveModelOptions({.architecture = name, .num_classes = classes}));
  REFLUX_ASSIGN_OR_RETURN(const auto model, BuildModel(row.options));
  row.cost = MeasureCost(*model, size.height, size.width);
  row.taps = model->taps();
  return row;
}

std::string TapText(const TapInfo& tap) {
  return absl::StrCat(tap.name, " ", tap.channels, "/", tap.stride);
}

void PrintRow(const Row& row, int width) {
  absl::PrintF("%-*s  %7.2f M  %8.2f G  %s\n", width, row.options.architecture,
               static_cast<double>(row.cost.parameters) / 1e6,
               static_cast<double>(row.cost.multiply_adds) / 1e9,
               absl::StrJoin(row.taps, ", ", [](std::string* out, const TapInfo& tap) {
                 absl::StrAppend(out, TapText(tap));
               }));
  std::fflush(stdout);  // the next network takes a moment
}

nlohmann::json ToJson(const Row& row, const Size& size) {
  nlohmann::json taps = nlohmann::json::array();
  for (const TapInfo& tap : row.taps) {
    taps.push_back({{"name", tap.name}, {"channels", tap.channels}, {"stride", tap.stride}});
  }
  return {{"architecture", row.options.architecture},   {"num_classes", row.options.num_classes},
          {"output_stride", row.options.output_stride}, {"aspp_width", row.options.aspp_width},
          {"parameters", row.cost.parameters},          {"multiply_adds", row.cost.multiply_adds},
          {"size", {size.height, size.width}},          {"taps", taps}};
}

absl::Status List(const Flags& flags, const Size& size) {
  const std::vector<std::string> names = flags.names.empty() ? KnownArchitectures() : flags.names;
  size_t width = 12;
  for (const std::string& name : names) width = std::max(width, name.size());
  if (!flags.json) {
    absl::PrintF("%-*s  parameters  mult-adds  taps: channels/stride (%d classes, %dx%d)\n",
                 static_cast<int>(width), "architecture", flags.classes, size.height, size.width);
  }
  nlohmann::json rows = nlohmann::json::array();
  for (const std::string& name : names) {
    REFLUX_ASSIGN_OR_RETURN(const Row row, Describe(name, flags.classes, size));
    if (flags.json) rows.push_back(ToJson(row, size));
    if (!flags.json) PrintRow(row, static_cast<int>(width));
  }
  if (flags.json) std::puts(rows.dump(2).c_str());
  return absl::OkStatus();
}

int Models(const Flags& flags) {
  const absl::StatusOr<Size> size = ParseSize(flags.size);
  if (!size.ok()) return FailUsage(size.status());
  const absl::Status valid = ModelOptions{.num_classes = flags.classes}.Validate();
  if (!valid.ok()) return FailUsage(valid);
  const absl::Status status = List(flags, *size);
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace

void AddModelsCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "models", "The networks there are: parameters, multiply-adds, taps with channels and stride");
  command->add_option("NAME", flags->names, "Architectures; all unless given")
      ->check(CLI::IsMember(KnownArchitectures()));
  command->add_option("--size", flags->size, "HEIGHTxWIDTH of the image that multiply-adds are of")
      ->capture_default_str();
  command->add_option("--classes", flags->classes, "Number of classes")->capture_default_str();
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, exit_code] { *exit_code = Models(*flags); });
}

}  // namespace reflux
