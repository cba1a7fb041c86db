// Every field of every request that a cache server takes: what is out of bounds is refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>
#include <vector>

#include "cache/cache_server.h"
#include "common/targets/wire.h"
#include "reflux/v1/targets.pb.h"
#include "tests/contract/cache_fixtures.h"
#include "tests/support/raw_call.h"

namespace reflux {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A field, as "Message.field"; what makes it wrong; and what the refusal says of it.
template <typename Request>
struct Row {
  const char* field;
  void (*spoil)(Request&);
  const char* says;
};

using Fetch = v1::FetchRequest;
v1::View& ViewOf(Fetch& r) { return *r.mutable_samples(0)->mutable_view(); }
v1::Numerics& NumericsOf(Fetch& r) { return *r.mutable_teacher()->mutable_numerics(); }
v1::Preprocessing& ColoursOf(Fetch& r) { return *r.mutable_teacher()->mutable_preprocessing(); }
v1::LabelMap& LabelsOf(Fetch& r) { return *r.mutable_samples(0)->mutable_label()->mutable_map(); }

const std::vector<Row<Fetch>> kTeacherRows = {
    {"TeacherIdentity.digest", [](auto& r) { r.mutable_teacher()->set_digest("short"); },
     "a digest has 32 bytes"},
    {"Numerics.mode", [](auto& r) { NumericsOf(r).set_mode(v1::NumericsMode(3)); },
     "numerics.mode"},
    {"Numerics.mode", [](auto& r) { NumericsOf(r).clear_mode(); }, "numerics.mode"},
    {"Numerics.compute", [](auto& r) { NumericsOf(r).set_compute(v1::ComputeDType(9)); },
     "numerics.compute"},
    {"Numerics.threads", [](auto& r) { NumericsOf(r).set_threads(0); }, "threads and batch"},
    {"Numerics.threads", [](auto& r) { NumericsOf(r).set_threads(1025); }, "threads and batch"},
    {"Numerics.batch", [](auto& r) { NumericsOf(r).set_batch(-1); }, "threads and batch"},
    {"Numerics.batch", [](auto& r) { NumericsOf(r).set_batch(1 << 30); }, "threads and batch"},
    {"Preprocessing.divisor", [](auto& r) { ColoursOf(r).set_divisor(0); }, "divisor"},
    {"Preprocessing.divisor", [](auto& r) { ColoursOf(r).set_divisor(kNan); }, "divisor"},
    {"Preprocessing.mean", [](auto& r) { ColoursOf(r).set_mean(1, kNan); }, "preprocessing.mean"},
    {"Preprocessing.mean", [](auto& r) { ColoursOf(r).add_mean(0); }, "preprocessing.mean"},
    {"Preprocessing.deviation", [](auto& r) { ColoursOf(r).set_deviation(2, 0); }, "deviation"},
    {"Preprocessing.deviation", [](auto& r) { ColoursOf(r).set_deviation(0, 1 / 0.0); },
     "preprocessing.deviation"},
    {"Preprocessing.deviation", [](auto& r) { ColoursOf(r).clear_deviation(); },
     "preprocessing.deviation"},
};

const std::vector<Row<Fetch>> kSampleRows = {
    {"FetchRequest.samples", [](auto& r) { r.clear_samples(); }, "samples: a request has"},
    {"FetchRequest.samples",
     [](auto& r) {
       while (r.samples_size() < 1025) *r.add_samples() = r.samples(0);
     },
     "1024 samples"},
    {"Sample.digest", [](auto& r) { r.mutable_samples(0)->clear_digest(); }, "a digest has"},
    {"Sample.dataset", [](auto& r) { r.mutable_samples(0)->set_dataset(std::string(1025, 'a')); },
     "samples.locator"},
    {"Sample.path", [](auto& r) { r.mutable_samples(0)->set_path(std::string(1025, 'a')); },
     "samples.locator"},
    {"Sample.image", [](auto& r) { r.mutable_samples(0)->set_image(std::string(65 << 20, 'a')); },
     "samples.image"},
    {"LabelFile.bytes",
     [](auto& r) {
       LabelsOf(r).set_num_classes(2);
       r.mutable_samples(0)->mutable_label()->set_bytes(std::string(65 << 20, 'a'));
     },
     "samples.image: over 64 MiB, with its label"},
    {"Sample.label_digest", [](auto& r) { r.mutable_samples(0)->set_label_digest("short"); },
     "a digest has"},
    {"Sample.label_digest",
     [](auto& r) { r.mutable_specs(0)->set_reduction(v1::REDUCTION_CLASS_SUMS); },
     "samples.label_digest: missing"},
    {"LabelMap.num_classes", [](auto& r) { LabelsOf(r).set_num_classes(0); }, "label map"},
    {"LabelMap.num_classes", [](auto& r) { LabelsOf(r).set_num_classes(256); }, "label map"},
    {"LabelMap.ignore_index",
     [](auto& r) {
       LabelsOf(r).set_num_classes(2);
       LabelsOf(r).set_ignore_index(-1);
     },
     "ignored index 0..255"},
    {"LabelMap.values",
     [](auto& r) {
       LabelsOf(r).set_num_classes(2);
       (*LabelsOf(r).mutable_values())[65536] = 1;
     },
     "label map: 65536 -> 1 is out of range"},
    {"LabelMap.values",
     [](auto& r) {
       LabelsOf(r).set_num_classes(2);
       (*LabelsOf(r).mutable_values())[7] = 2;
     },
     "label map: 7 -> 2 is out of range"},
    {"LabelMap.values",
     [](auto& r) {
       for (int value = 0; value <= 65536; ++value) (*LabelsOf(r).mutable_values())[value] = 0;
     },
     "samples.label: too many values"},
};

const std::vector<Row<Fetch>> kViewRows = {
    {"View.resized_height", [](auto& r) { ViewOf(r).set_resized_height(0); }, "view: sides"},
    {"View.resized_width", [](auto& r) { ViewOf(r).set_resized_width(16385); }, "view: sides"},
    {"View.resized_width",
     [](auto& r) {
       ViewOf(r).set_resized_height(16384);
       ViewOf(r).set_resized_width(16384);
     },
     "is over"},
    {"View.crop_height", [](auto& r) { ViewOf(r).set_crop_height(-8); }, "view: sides"},
    {"View.crop_width", [](auto& r) { ViewOf(r).set_crop_width(16385); }, "view: sides"},
    {"View.crop_y", [](auto& r) { ViewOf(r).set_crop_y(-8); }, "view: the crop must cover"},
    {"View.crop_y", [](auto& r) { ViewOf(r).set_crop_y(8); }, "view: the crop must cover"},
    {"View.crop_x", [](auto& r) { ViewOf(r).set_crop_x(-8); }, "view: the crop must cover"},
    {"View.crop_x", [](auto& r) { ViewOf(r).set_crop_x(1 << 30); }, "view: the crop must cover"},
    {"View.decode_shrink", [](auto& r) { ViewOf(r).set_decode_shrink(3); }, "decode_shrink"},
};

const std::vector<Row<Fetch>> kSpecRows = {
    {"FetchRequest.specs", [](auto& r) { r.clear_specs(); }, "specs: a request has"},
    {"FetchRequest.specs",
     [](auto& r) {
       while (r.specs_size() < 17) *r.add_specs() = r.specs(0);
     },
     "16 specs"},
    {"TargetSpec.tap", [](auto& r) { r.mutable_specs(0)->clear_tap(); }, "specs.tap"},
    {"TargetSpec.tap", [](auto& r) { r.mutable_specs(0)->set_tap(std::string(129, 'a')); },
     "specs.tap"},
    {"TargetSpec.reduction", [](auto& r) { r.mutable_specs(0)->set_reduction(v1::Reduction(777)); },
     "specs.reduction"},
    {"TargetSpec.codec", [](auto& r) { r.mutable_specs(0)->set_codec(v1::Codec(777)); },
     "specs.codec"},
};

const std::vector<Row<v1::Note>> kNoteRows = {
    {"Note.name", [](auto& note) { note.clear_name(); }, "note: a name of 1..128 bytes"},
    {"Note.name", [](auto& note) { note.set_name(std::string(129, 'a')); }, "note: a name"},
    {"Note.value", [](auto& note) { note.set_value(std::string((64 << 10) + 1, 'a')); },
     "a value of at most 65536"},
};

const std::vector<Row<v1::PinTargetSetsRequest>> kPinRows = {
    {"PinTargetSetsRequest.for_seconds", [](auto& r) { r.set_for_seconds(-1); }, "for_seconds"},
    {"PinTargetSetsRequest.for_seconds", [](auto& r) { r.set_for_seconds(315360001); },
     "for_seconds"},
};

const std::vector<Row<v1::ExportTargetsRequest>> kExportRows = {
    {"ExportTargetsRequest.sets", [](auto& r) { r.clear_sets(); }, "archive: 1..256 sets, not 0"},
    {"ExportTargetsRequest.sets",
     [](auto& r) {
       while (r.sets_size() < 257) *r.add_sets() = r.sets(0);
     },
     "archive: 1..256 sets, not 257"},
    {"ExportTargetsRequest.licence",
     [](auto& r) { r.set_licence(std::string((64 << 10) + 1, 'a')); }, "a licence note over"},
    {"TargetSet.dataset", [](auto& r) { r.mutable_sets(0)->set_dataset(std::string(1025, 'a')); },
     "set: a name over"},
    {"TargetSet.model", [](auto& r) { r.mutable_sets(0)->set_model(std::string(1025, 'a')); },
     "set: a name over"},
    {"TeacherIdentity.digest",
     [](auto& r) { r.mutable_sets(0)->mutable_teacher()->set_digest("short"); }, "a digest has"},
    {"TargetSpec.codec",
     [](auto& r) { r.mutable_sets(0)->mutable_spec()->set_codec(v1::Codec(777)); }, "specs.codec"},
};

// What may hold anything of its type.
const std::set<std::string> kUnbounded = {
    "CollectGarbageRequest.target_bytes", "FetchRequest.discard", "FetchRequest.host",
    "FetchRequest.prefill", "ImportTargetsRequest.archive",  // target_archive_test
    "Numerics.inference_revision", "Numerics.tf32", "PinTargetSetsRequest.all",
    "PinTargetSetsRequest.set", "Preprocessing.bgr", "RemoveTargetSetsRequest.all",
    "RemoveTargetSetsRequest.force", "RemoveTargetSetsRequest.set", "View.flip",
    // Of a set only these count: data set, teacher and spec.
    "TargetSet.bytes", "TargetSet.entries", "TargetSet.id", "TargetSet.last_used_unix_seconds",
    "TargetSet.leased", "TargetSet.pinned_for_seconds", "TargetSet.pinned_until_unix_seconds",
    "TargetSet.set_id"};

class RequestBoundsTest : public testing::Test {
 protected:
  RequestBoundsTest() {
    auto cache = CacheServer::Start({.store = {.directory = folder_.path() + "/cache"}}, nullptr);
    EXPECT_TRUE(cache.ok()) << cache.status();
    if (cache.ok()) cache_ = *std::move(cache);
    *export_.add_sets() = ToProto(SetOf(FakeRequest(1)));
    note_.set_name("name");
  }
  // Sends `good` to the method with each row's field spoilt.
  template <typename Request>
  void ExpectRefused(const std::string& method, const Request& good,
                     const std::vector<Row<Request>>& rows) {
    for (const Row<Request>& row : rows) {
      Request spoilt = good;
      row.spoil(spoilt);
      const absl::Status status =
          RawCall(cache_->address(), "/reflux.v1." + method, spoilt.SerializeAsString()).status();
      EXPECT_TRUE(absl::IsInvalidArgument(status)) << row.field << ": " << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr(row.says)) << row.field;
    }
  }

  TemporaryFolder folder_;
  std::unique_ptr<CacheServer> cache_;
  const v1::FetchRequest fetch_ = ToProto(FakeRequest(1), Priority::kStudent);
  v1::ExportTargetsRequest export_;
  v1::Note note_;
};

TEST_F(RequestBoundsTest, WhatIsBeyondThemIsRefusedByName) {
  for (const auto& rows : {kTeacherRows, kSampleRows, kViewRows, kSpecRows}) {
    ExpectRefused("TargetService/Fetch", fetch_, rows);
    ExpectRefused("CacheAdminService/Contains", fetch_, rows);
  }
  ExpectRefused("CacheAdminService/KeepNote", note_, kNoteRows);
  ExpectRefused("CacheAdminService/GetNote", note_, kNoteRows);
  ExpectRefused("CacheAdminService/PinTargetSets", {}, kPinRows);
  ExpectRefused("TargetArchiveService/ExportTargets", export_, kExportRows);
  const absl::Status good = RawCall(cache_->address(), "/reflux.v1.CacheAdminService/Contains",
                                    fetch_.SerializeAsString())
                                .status();
  EXPECT_TRUE(good.ok()) << "what the rows spoil is right: " << good;
}

// Of the message and all that it holds; a list of messages is a field of its own.
void ListFields(const Descriptor& message, std::set<std::string>& fields) {
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    const bool holds = field.message_type() != nullptr && !field.is_map();
    if (!holds || field.is_repeated()) fields.insert(message.name() + "." + field.name());
    if (holds) ListFields(*field.message_type(), fields);
  }
}

TEST_F(RequestBoundsTest, EveryFieldOfEveryRequestHasARow) {
  std::set<std::string> fields, known = kUnbounded;
  const auto& file = *v1::FetchRequest::descriptor()->file();
  for (int i = 0; i < file.service_count(); ++i) {
    for (int k = 0; k < file.service(i)->method_count(); ++k) {
      ListFields(*file.service(i)->method(k)->input_type(), fields);
    }
  }
  const auto add = [&known](const auto& rows) {
    for (const auto& row : rows) known.insert(row.field);
  };
  for (const auto& rows : {kTeacherRows, kSampleRows, kViewRows, kSpecRows}) add(rows);
  add(kNoteRows), add(kPinRows), add(kExportRows);
  EXPECT_EQ(fields, known) << "a field has neither a row nor a place among the unbounded";
}

}  // namespace
}  // namespace reflux
