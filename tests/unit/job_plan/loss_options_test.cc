// Every option of every loss of a job reaches the loss that is planned: another value gives another
// term. The options are those of the schema, so that a new one without a row here fails.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "reflux/v1/config.pb.h"
#include "tests/unit/job_plan/loss_fingerprint.h"

namespace reflux {
namespace {

struct OptionRow {
  const char* option;       // "kd.temperature"
  const char* value;        // one that is not the default
  const char* beside = "";  // what must be set for the option to count
};

// clang-format off
const OptionRow kRows[] = {
    {"ce.aux_weight", "1"},
    {"kd.temperature", "3"}, {"kd.temperature_squared", "false", "temperature: 3"},
    {"i2ckd.tap", "c4"}, {"i2ckd.margin", "2"}, {"i2ckd.distance", "cosine"},
    {"i2ckd.negatives", "hardest"}, {"i2ckd.anchor", "teacher", "negatives: hardest"},
    {"i2ckd.prototypes", "per_image"}, {"i2ckd.labels", "teacher"},
    {"icsd.form", "mirror"}, {"icsd.temperature", "2"},
    {"afdcd.tap", "aspp"}, {"afdcd.feature_weight", "1"}, {"afdcd.contrast_weight", "1"},
    {"afdcd.temperature", "1"}, {"afdcd.groups", "8"}, {"afdcd.mask", "centre"},
    {"afdcd.mask_ratio", "0.5"}, {"afdcd.negatives", "omni_all"}, {"afdcd.pool", "2"},
    {"afdcd.crop", "[8, 8]"}, {"afdcd.patch", "[2, 2]"}, {"afdcd.projector", "bottleneck"},
    {"afdcd.clip", "1"},
    {"cwd.tap", "aspp"}, {"cwd.temperature", "2"}, {"cwd.temperature_squared", "false"},
    {"cwd.norm", "spatial"}, {"cwd.divide_by", "student_channels", "tap: aspp"},
    {"skd.tap", "c4"}, {"skd.pool", "4"}, {"skd.pool_fraction", "0.5"},
    {"skd.constant_norm", "true"},
    {"at.tap", "c4"}, {"at.power", "3"},
    {"fitnet.tap", "c4"},
    {"ifvd.tap", "c4"},
    {"csd.tap", "aspp"}, {"csd.temperature", "2"}, {"csd.pool", "1"},
    {"cirkd.tap", "c4"}, {"cirkd.temperature", "1"}, {"cirkd.pool", "2"},
    {"cirkd_memory.tap", "c4"}, {"cirkd_memory.pixel_weight", "1"},
    {"cirkd_memory.region_weight", "1"}, {"cirkd_memory.temperature", "1"},
    {"cirkd_memory.kd_temperature", "2"}, {"cirkd_memory.pixel_queue", "30"},
    {"cirkd_memory.region_queue", "30"}, {"cirkd_memory.pixel_samples", "6"},
    {"cirkd_memory.region_samples", "3"}, {"cirkd_memory.pixels_per_image", "2"},
    {"frskd.taps", "[c1, c2]"}, {"frskd.alpha", "2"}, {"frskd.beta", "1"},
    {"frskd.temperature", "2"}, {"frskd.features", "fitnet"}, {"frskd.power", "3"},
    {"frskd.margin", "untrained", "features: overhaul"}, {"frskd.warmup", "0"},
    {"frskd.ramp", "false"}, {"frskd.width", "8"}, {"frskd.layers", "1"},
    {"frskd.head_width", "8"},
    {"frskd_classifier.alpha", "1"}, {"frskd_classifier.beta", "1"},
    {"frskd_classifier.temperature", "2"}, {"frskd_classifier.features", "fitnet"},
    {"frskd_classifier.power", "3"},
    {"frskd_classifier.margin", "untrained", "features: overhaul"},
    {"frskd_classifier.pyramid", "bifpn", "channels: 8"}, {"frskd_classifier.width", "1"},
    {"frskd_classifier.channels", "8", "pyramid: bifpn"}, {"frskd_classifier.layers", "2"},
    {"frskd_classifier.depth", "1"}, {"frskd_classifier.sla", "true"},
    {"frskd_classifier.sla_weight", "2", "sla: true"},
    {"sla.distillation", "2"}, {"sla.temperature", "2"},
    {"own.feature_cosine.tap", "c4"}, {"own.feature_cosine.options", "{power: 2}"},
};
// clang-format on

// "ce" and the other fields of LossesSpec, and the example of the map `own`, each with its message.
std::map<std::string, const google::protobuf::Descriptor*> Losses() {
  std::map<std::string, const google::protobuf::Descriptor*> losses;
  const auto* fields = v1::LossesSpec::descriptor();
  for (int i = 0; i < fields->field_count(); ++i) {
    const auto* field = fields->field(i);
    if (field->is_map()) {
      losses[absl::StrCat(field->name(), ".feature_cosine")] =
          field->message_type()->map_value()->message_type();
    } else {
      losses[std::string(field->name())] = field->message_type();
    }
  }
  return losses;
}

// The rows, and for every loss what all of them have.
std::vector<OptionRow> RowsOf(const std::string& loss) {
  std::vector<OptionRow> rows = {{"weight", "3"}, {"schedule", "cosine"}};
  for (const OptionRow& row : kRows) {
    const absl::string_view option = row.option;
    const size_t dot = option.rfind('.');
    if (option.substr(0, dot) == loss)
      rows.push_back({row.option + dot + 1, row.value, row.beside});
  }
  if (Losses().at(loss)->FindFieldByName("teacher") != nullptr) {
    rows.push_back({"teacher", "other"});
  }
  return rows;
}

class LossOptionsTest : public testing::TestWithParam<std::string> {};

TEST_P(LossOptionsTest, EveryFieldHasARow) {
  std::set<std::string> fields, rows;
  const auto* message = Losses().at(GetParam());
  for (int i = 0; i < message->field_count(); ++i) fields.emplace(message->field(i)->name());
  for (const OptionRow& row : RowsOf(GetParam())) rows.insert(row.option);
  EXPECT_EQ(rows, fields);
}

TEST_P(LossOptionsTest, AnotherValueGivesAnotherTerm) {
  for (const OptionRow& row : RowsOf(GetParam())) {
    const std::string changed =
        absl::StrCat(row.option, ": ", row.value, *row.beside == 0 ? "" : ", ", row.beside);
    EXPECT_NE(Fingerprint(GetParam(), row.beside), Fingerprint(GetParam(), changed)) << changed;
  }
}

// Else a difference could be chance.
TEST_P(LossOptionsTest, TheSameOptionsGiveTheSameTerm) {
  EXPECT_EQ(Fingerprint(GetParam(), ""), Fingerprint(GetParam(), ""));
}

std::vector<std::string> LossNames() {
  std::vector<std::string> names;
  for (const auto& [name, message] : Losses()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, LossOptionsTest, testing::ValuesIn(LossNames()),
                         [](const auto& info) {
                           return absl::StrJoin(absl::StrSplit(info.param, '.'), "_");
                         });

}  // namespace
}  // namespace reflux
