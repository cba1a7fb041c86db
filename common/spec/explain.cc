#include "common/spec/explain.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/spec/field_options.h"
#include "common/spec/spec_reader.h"
#include "reflux/v1/config.pb.h"

namespace reflux {
namespace {

using google::protobuf::Descriptor;
using nlohmann::json;

// What a path leads to: a field, or the root (no field); `block` if it has fields of its own.
struct Place {
  const FieldDescriptor* field = nullptr;
  const Descriptor* block = nullptr;
};

const Descriptor* BlockOf(const FieldDescriptor& field) {
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return nullptr;
  if (!field.is_map()) return field.message_type();
  const FieldDescriptor* value = field.message_type()->FindFieldByName("value");
  return value->message_type();
}

std::vector<std::string> Names(const Descriptor& block) {
  std::vector<std::string> names;
  for (int i = 0; i < block.field_count(); ++i) names.push_back(block.field(i)->name());
  return names;
}

absl::Status NoField(absl::string_view path, absl::string_view part, const Descriptor* block) {
  if (block == nullptr) {
    return absl::NotFoundError(absl::StrCat(path, ": no field `", part, "`: nothing is below"));
  }
  const std::string nearest = NearestName(part, Names(*block));
  return absl::NotFoundError(
      absl::StrCat(path, ": no field `", part, "`, ",
                   nearest.empty() ? absl::StrCat("known: ", absl::StrJoin(Names(*block), ", "))
                                   : absl::StrCat("did you mean `", nearest, "`?")));
}

absl::StatusOr<Place> FindPlace(absl::string_view path) {
  Place place{nullptr, v1::JobSpec::descriptor()};
  bool name_follows = false;
  bool first = true;
  for (absl::string_view part : absl::StrSplit(path, '.', absl::SkipEmpty())) {
    // The name of a teacher or variant, which any word may be.
    if (name_follows) {
      name_follows = false;
      continue;
    }
    const bool shorthand = first && part == "teacher";
    const std::string name = shorthand ? "teachers" : std::string(part);
    if (place.block == nullptr) return NoField(path, part, nullptr);
    const FieldDescriptor* field = place.block->FindFieldByName(name);
    if (field == nullptr && first) field = v1::SweepSpec::descriptor()->FindFieldByName(name);
    if (field == nullptr) return NoField(path, part, place.block);
    place = {field, BlockOf(*field)};
    name_follows = field->is_map() && !shorthand;
    first = false;
  }
  return place;
}

std::vector<std::string> Quoted(const std::vector<std::string>& values) {
  std::vector<std::string> quoted;
  for (const std::string& value : values) quoted.push_back(absl::StrCat("`", value, "`"));
  return quoted;
}

// "number, in (0, inf), default 1, seconds"
std::string Summary(const FieldDescriptor& field, const FieldFacts& facts) {
  std::vector<std::string> parts = {TypeName(field)};
  if (!facts.allowed.empty()) parts = {absl::StrJoin(facts.allowed, " | ")};
  if (facts.range.has_value()) parts.push_back(absl::StrCat("in ", facts.range->text));
  if (!facts.unit.empty()) parts.push_back(facts.unit);
  if (!facts.default_text.empty()) parts.push_back(absl::StrCat("default ", facts.default_text));
  return absl::StrJoin(parts, ", ");
}

// Doc sentence with what else there is to say.
std::string Meaning(const FieldFacts& facts) {
  std::string text = facts.doc;
  if (!facts.source.empty()) absl::StrAppend(&text, " Source: ", facts.source, ".");
  if (!facts.planned.empty()) {
    absl::StrAppend(&text, " Not available in this version: ", absl::StrJoin(facts.planned, ", "),
                    ".");
  }
  if (!facts.unavailable.empty()) absl::StrAppend(&text, " Not available in this version.");
  return text;
}

json FieldJson(const FieldDescriptor& field) {
  const FieldFacts facts = FactsOf(field);
  json out = {{"name", field.name()}, {"type", TypeName(field)}, {"doc", facts.doc}};
  out["available"] = facts.unavailable.empty();
  if (!facts.default_text.empty()) out["default"] = facts.default_text;
  if (!facts.unit.empty()) out["unit"] = facts.unit;
  if (!facts.source.empty()) out["source"] = facts.source;
  if (!facts.allowed.empty()) out["allowed"] = facts.allowed;
  if (!facts.planned.empty()) out["not_in_this_version"] = facts.planned;
  if (facts.range.has_value()) out["range"] = facts.range->text;
  return out;
}

std::string Cell(const std::string& text) { return absl::StrReplaceAll(text, {{"|", "\\|"}}); }

void AppendTable(const Descriptor& block, const std::string& path, std::string& out) {
  absl::StrAppend(&out, "\n### `", path.empty() ? "(top level)" : path, "`\n\n",
                  "| field | values | default | meaning |\n|---|---|---|---|\n");
  for (int i = 0; i < block.field_count(); ++i) {
    const FieldDescriptor& field = *block.field(i);
    const FieldFacts facts = FactsOf(field);
    std::string values =
        facts.allowed.empty() ? TypeName(field) : absl::StrJoin(Quoted(facts.allowed), ", ");
    if (facts.range.has_value()) absl::StrAppend(&values, " in ", facts.range->text);
    if (!facts.unit.empty()) absl::StrAppend(&values, ", ", facts.unit);
    const std::string preset =
        facts.default_text.empty() ? "" : absl::StrCat("`", facts.default_text, "`");
    absl::StrAppend(&out, "| `", field.name(), "` | ", Cell(values), " | ", preset, " | ",
                    Cell(Meaning(facts)), " |\n");
  }
}

void AppendTables(const Descriptor& block, const std::string& path, std::string& out) {
  AppendTable(block, path, out);
  for (int i = 0; i < block.field_count(); ++i) {
    const FieldDescriptor& field = *block.field(i);
    if (BlockOf(field) == nullptr || !FactsOf(field).unavailable.empty()) continue;
    AppendTables(*BlockOf(field),
                 JoinPath(path, field.is_map() ? field.name() + ".NAME" : field.name()), out);
  }
}

}  // namespace

absl::StatusOr<std::string> ExplainText(absl::string_view path) {
  REFLUX_ASSIGN_OR_RETURN(const Place place, FindPlace(path));
  std::string out;
  if (place.field == nullptr) {
    out = "A job file is YAML with these blocks; `reflux explain BLOCK` shows what is inside.\n";
  } else {
    const FieldFacts facts = FactsOf(*place.field);
    absl::StrAppend(&out, path, ": ", Summary(*place.field, facts), "\n  ", Meaning(facts), "\n");
  }
  if (place.block == nullptr) return out;
  out += "\n";
  for (int i = 0; i < place.block->field_count(); ++i) {
    const FieldDescriptor& field = *place.block->field(i);
    const FieldFacts facts = FactsOf(field);
    absl::StrAppend(&out, "  ", field.name(), ": ", Summary(field, facts), "\n      ",
                    Meaning(facts), "\n");
  }
  return out;
}

absl::StatusOr<std::string> ExplainJson(absl::string_view path) {
  REFLUX_ASSIGN_OR_RETURN(const Place place, FindPlace(path));
  json out = place.field == nullptr ? json{{"type", "block"}} : FieldJson(*place.field);
  out["path"] = std::string(path);
  if (place.block != nullptr) {
    out["fields"] = json::array();
    for (int i = 0; i < place.block->field_count(); ++i) {
      out["fields"].push_back(FieldJson(*place.block->field(i)));
    }
  }
  return out.dump(2) + "\n";
}

std::string ExplainMarkdown() {
  std::string out = "## Every field\n";
  AppendTables(*v1::JobSpec::descriptor(), "", out);
  return out;
}

}  // namespace reflux
