#include "cli/model/inspect_scripted.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/checkpoint_info.h"
#include "distill/checkpoint/scripted_listing.h"
#include "distill/checkpoint/scripted_model.h"

namespace reflux {
namespace {

using Kind = ScriptedTensor::Kind;

const char* Name(Kind kind) {
  return kind == Kind::kParameter ? "parameter" : kind == Kind::kBuffer ? "buffer" : "attribute";
}

const char* Name(ElementType type) {
  switch (type) {
    case ElementType::kF64:
      return "Double";
    case ElementType::kF32:
      return "Float";
    case ElementType::kF16:
      return "Half";
    case ElementType::kBF16:
      return "BFloat16";
    case ElementType::kI64:
      return "Long";
    case ElementType::kI32:
      return "Int";
    case ElementType::kU8:
      return "Byte";
    case ElementType::kBool:
      return "Bool";
  }
  return "";
}

// What is known: of the file always, of the program only if it was run.
struct Facts {
  std::string path;
  ScriptedListing listing;
  Preprocessing preprocessing;
  std::shared_ptr<ScriptedModel> model;
};

struct Count {
  int64_t tensors = 0, numbers = 0;
};

Count CountOf(const ScriptedListing& listing, Kind kind) {
  Count count;
  for (const ScriptedTensor& tensor : listing.tensors) {
    if (tensor.kind != kind) continue;
    int64_t numbers = 1;
    for (const int64_t size : tensor.stored.shape) numbers *= size;
    ++count.tensors;
    count.numbers += numbers;
  }
  return count;
}

std::string CountLine(const ScriptedListing& listing, Kind kind, const char* label) {
  const Count count = CountOf(listing, kind);
  return absl::StrCat("\n", label, ": ", count.tensors, " tensors of ", count.numbers, " numbers");
}

std::string ModelLines(const ScriptedModel* model) {
  if (model == nullptr) {
    return "taps, classes, digest: not known until its program is run (--run-torchscript)\n";
  }
  std::vector<std::string> taps;
  for (const TapInfo& tap : model->taps()) {
    taps.push_back(
        absl::StrCat(tap.name, " (", tap.channels, " channels, stride ", tap.stride, ")"));
  }
  const std::vector<std::string> random = model->random_operators();
  return absl::StrCat("classes: ", model->num_classes(), "\ntaps: ", absl::StrJoin(taps, ", "),
                      "\ndigest: ", TeacherDigest(*model).Hex(),
                      "\nnorms that cannot be synchronised: ",
                      model->norms().empty() ? "none" : absl::StrJoin(model->norms(), ", "),
                      "\noperators that draw random numbers: ",
                      random.empty() ? "none" : absl::StrJoin(random, ", "), "\n");
}

std::string Text(const Facts& facts, bool names) {
  const Preprocessing& p = facts.preprocessing;
  const ScriptedListing& listing = facts.listing;
  std::string text = absl::StrCat("file: ", facts.path, "\nlayout: torchscript, a program",
                                  facts.model == nullptr ? ", which was not run" : "",
                                  "\nclass: ", listing.module_class,
                                  CountLine(listing, Kind::kParameter, "parameters"),
                                  CountLine(listing, Kind::kBuffer, "buffers"));
  if (CountOf(listing, Kind::kAttribute).tensors > 0)
    absl::StrAppend(&text, CountLine(listing, Kind::kAttribute, "other tensors"));
  absl::StrAppend(&text, "\ncode digest: ", listing.code_digest,
                  "\npreprocessing: ", p.bgr ? "BGR" : "RGB", " / ", p.divisor, ", mean ",
                  absl::StrJoin(p.mean, " "), ", deviation ", absl::StrJoin(p.deviation, " "),
                  listing.preprocessing.empty() ? " (assumed: the file does not say)" : "", "\n",
                  ModelLines(facts.model.get()));
  for (const ScriptedTensor& tensor : listing.tensors) {
    if (!names) break;
    absl::StrAppend(&text, tensor.name, "  [", absl::StrJoin(tensor.stored.shape, ", "), "] ",
                    Name(tensor.stored.type), " ", Name(tensor.kind), "\n");
  }
  return text;
}

nlohmann::json Json(const Facts& facts) {
  nlohmann::json tensors = nlohmann::json::object();
  for (const ScriptedTensor& tensor : facts.listing.tensors) {
    tensors[tensor.name] = {{"kind", Name(tensor.kind)},
                            {"dtype", Name(tensor.stored.type)},
                            {"shape", tensor.stored.shape}};
  }
  nlohmann::json json = {
      {"path", facts.path},
      {"layout", kTorchScript},
      {"class", facts.listing.module_class},
      {"parameters", CountOf(facts.listing, Kind::kParameter).numbers},
      {"tensors", tensors},
      {"code_digest", facts.listing.code_digest},
      {"has_preprocessing", !facts.listing.preprocessing.empty()},
      {"preprocessing", nlohmann::json::parse(EncodePreprocessing(facts.preprocessing))},
      {"run", facts.model != nullptr}};
  if (facts.model == nullptr) return json;
  nlohmann::json taps = nlohmann::json::array();
  for (const TapInfo& tap : facts.model->taps()) {
    taps.push_back({{"name", tap.name}, {"channels", tap.channels}, {"stride", tap.stride}});
  }
  json.update({{"num_classes", facts.model->num_classes()},
               {"taps", taps},
               {"digest", TeacherDigest(*facts.model).Hex()},
               {"norms", facts.model->norms()},
               {"random_operators", facts.model->random_operators()}});
  return json;
}

}  // namespace

absl::StatusOr<std::string> InspectScripted(const ScriptedInspection& inspection) {
  REFLUX_ASSIGN_OR_RETURN(auto source, OpenByteSource(inspection.path));
  Facts facts{.path = inspection.path};
  REFLUX_ASSIGN_OR_RETURN(facts.listing, ListScriptedFile(std::move(source)));
  if (const std::string& text = facts.listing.preprocessing; !text.empty()) {
    REFLUX_ASSIGN_OR_RETURN(facts.preprocessing, ParsePreprocessing(inspection.path, text));
  }
  if (inspection.run) {
    REFLUX_ASSIGN_OR_RETURN(ScriptedCheckpoint scripted, LoadScriptedModel(inspection.path));
    facts.model = std::move(scripted.model);
  }
  if (!inspection.json) return Text(facts, inspection.names);
  return Json(facts).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace reflux
