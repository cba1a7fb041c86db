#include "common/spec/job_check.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/spec/field_options.h"
#include "common/spec/job_teachers.h"
#include "common/spec/loss_fields.h"
#include "common/spec/spec_reader.h"
#include "common/spec/task_check.h"
#include "common/targets/codec.h"
#include "common/targets/target.h"
#include "common/targets/view_choice.h"

namespace reflux {
namespace {

using google::protobuf::Message;
using google::protobuf::Reflection;

class Checker {
 public:
  SpecProblems Take() { return std::move(problems_); }

  void Bad(const std::string& path, const std::string& text) {
    problems_.push_back({"", path, text, false, 0});
  }
  void Unavailable(const std::string& path, const std::string& what) {
    problems_.push_back({"", path, absl::StrCat("not available in this version: ", what), true, 0});
  }

  void CheckBlock(const Message& message, const std::string& path) {
    std::vector<const FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    for (const FieldDescriptor* field : fields) {
      CheckField(message, *field, JoinPath(path, field->name()));
    }
  }

 private:
  void CheckField(const Message& message, const FieldDescriptor& field, const std::string& path) {
    const FieldFacts facts = FactsOf(field);
    const Reflection& reflection = *message.GetReflection();
    if (!facts.unavailable.empty()) {
      Unavailable(path, facts.unavailable);
    } else if (field.is_map()) {
      CheckMap(message, field, path);
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      CheckBlock(reflection.GetMessage(message, &field), path);
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING && !field.is_repeated()) {
      CheckText(reflection.GetString(message, &field), field, facts, path);
    } else if (facts.range.has_value()) {
      CheckNumbers(message, field, *facts.range, path);
    }
  }

  void CheckMap(const Message& message, const FieldDescriptor& field, const std::string& path) {
    const Reflection& reflection = *message.GetReflection();
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
      const FieldDescriptor* key = entry.GetDescriptor()->FindFieldByName("key");
      const FieldDescriptor* value = entry.GetDescriptor()->FindFieldByName("value");
      if (value->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
      CheckBlock(entry.GetReflection()->GetMessage(entry, value),
                 JoinPath(path, entry.GetReflection()->GetString(entry, key)));
    }
  }

  void CheckText(const std::string& value, const FieldDescriptor& field, const FieldFacts& facts,
                 const std::string& path) {
    if (facts.allowed.empty()) return;
    const auto is_in = [&](const std::vector<std::string>& values) {
      return std::find(values.begin(), values.end(), value) != values.end();
    };
    if (is_in(facts.planned)) {
      Unavailable(path, absl::StrCat(field.name(), " ", value));
    } else if (!is_in(facts.allowed)) {
      Bad(path, absl::StrCat("`", value, "` is not allowed; one of ",
                             absl::StrJoin(facts.allowed, ", ")));
    }
  }

  void CheckNumbers(const Message& message, const FieldDescriptor& field, const NumberRange& range,
                    const std::string& path) {
    const int count = field.is_repeated() ? message.GetReflection()->FieldSize(message, &field) : 1;
    for (int i = 0; i < count; ++i) {
      const double value = Number(message, field, i);
      if (range.Contains(value)) continue;
      Bad(path, absl::StrCat(value, " is out of range ", range.text));
      return;
    }
  }

  static double Number(const Message& message, const FieldDescriptor& field, int i) {
    const Reflection& r = *message.GetReflection();
    const bool list = field.is_repeated();
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return list ? r.GetRepeatedInt32(message, &field, i) : r.GetInt32(message, &field);
      case FieldDescriptor::CPPTYPE_UINT64:
        return list ? r.GetRepeatedUInt64(message, &field, i) : r.GetUInt64(message, &field);
      default:
        return list ? r.GetRepeatedDouble(message, &field, i) : r.GetDouble(message, &field);
    }
  }

  SpecProblems problems_;
};

// Names become names of files, with numbers added.
bool IsName(const std::string& name) {
  const auto allowed = [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  };
  // A leading dot would make hidden folders, and "..".
  return !name.empty() && name.size() <= 100 && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), allowed);
}

void CheckViews(const std::string& views, Checker& check) {
  const absl::Status status = ParseViews(views).status();
  if (!status.ok()) check.Bad("targets.views", std::string(status.message()));
}

void CheckCodec(const std::string& codec, Checker& check) {
  const absl::Status status = ParseCodec(codec).status();
  if (!status.ok()) check.Bad("targets.codec", std::string(status.message()));
}

// What format folders needs, and what is for it alone.
void CheckFolders(const v1::DataSpec& data, Checker& check) {
  if (data.format() == "folders") {
    const bool both = !data.images().empty() && !data.labels().empty();
    if (data.root().empty() && !both)
      check.Bad("data", "format folders needs images and labels, or root");
    if (!data.root().empty() && (!data.images().empty() || !data.labels().empty()))
      check.Bad("data.root", "give root, or images and labels, not both");
    if (data.classes().empty() || data.classes_size() > 255)
      check.Bad("data.classes", "expected 1 to 255 class names, in the order of their indices");
    for (const auto& [value, index] : data.label_map()) {
      if (value >= 0 && value <= 65535 && index >= 0 &&
          (index < data.classes_size() || index == (data.has_ignore() ? data.ignore() : 255)))
        continue;
      check.Bad(absl::StrCat("data.label_map.", value),
                absl::StrCat(index,
                             " is no index of classes and not the ignored value (values are "
                             "0 to 65535)"));
    }
    return;
  }
  if (!data.images().empty() || !data.labels().empty() || !data.classes().empty() ||
      data.has_ignore() || !data.label_map().empty() || !data.splits().empty() ||
      !data.unlabelled().empty()) {
    check.Bad("data",
              "images, labels, classes, ignore, label_map, splits and unlabelled are for format "
              "folders");
  }
}

void CheckEvaluation(const v1::DataSpec& data, Checker& check) {
  for (const auto& [name, list] : {std::pair("data.eval_size", &data.eval_size()),
                                   std::pair("data.eval_window", &data.eval_window()),
                                   std::pair("data.eval_stride", &data.eval_stride())}) {
    if (list->empty() || list->size() == 2) continue;
    check.Bad(name, "expected two values, [height, width], or none");
  }
  if (!data.eval_stride().empty() && data.eval_window().empty())
    check.Bad("data.eval_stride", "needs eval_window");
  for (int i = 0; i < std::min(data.eval_stride_size(), data.eval_window_size()); ++i) {
    if (data.eval_stride(i) > data.eval_window(i))
      check.Bad("data.eval_stride", "longer than eval_window: pixels would be left out");
  }
  if (data.eval_scales_size() > 16) check.Bad("data.eval_scales", "at most 16 scales");
}

void CheckScale(const v1::DataSpec& data, Checker& check) {
  if (data.scale_size() != 2 || data.scale(0) > data.scale(1)) {
    check.Bad("data.scale", "expected two values, [smallest, largest]");
  } else if (data.scaled_decode() && ShrinkFor(data.scale(1)) == 1) {
    check.Bad("data.scaled_decode",
              absl::StrCat("views of scale ", data.scale(1), " need whole images; remove it, or ",
                           "lower data.scale to at most 0.5"));
  }
}

void CheckData(const v1::DataSpec& data, Checker& check) {
  if (data.format().empty()) {
    check.Bad(
        "data.format",
        "missing; one of camvid, cityscapes, voc, ade20k, coco_stuff, folders, cifar10, cifar100");
  }
  if (data.root().empty() && data.format() != "folders")
    check.Bad("data.root", "missing: the folder of the data set");
  CheckFolders(data, check);
  if (data.crop_size() != 2) check.Bad("data.crop", "expected two values, [height, width]");
  CheckEvaluation(data, check);
  CheckScale(data, check);
}

void CheckScriptedStudent(const v1::StudentSpec& student, Checker& check) {
  if (student.model() != "torchscript") return;
  if (student.init().empty()) {
    check.Bad("student.init", "missing: the file of the TorchScript module");
  }
  if (!student.backbone().empty()) {
    check.Bad("student.backbone", "a TorchScript module has its weights in init");
  }
  if (student.output_stride() != 0 || student.aspp_width() != 0) {
    check.Bad("student", "output_stride and aspp_width are the TorchScript module's own");
  }
}

void CheckStudent(const v1::StudentSpec& student, Checker& check) {
  if (student.model().empty()) {
    const FieldFacts facts = FactsOf(*student.GetDescriptor()->FindFieldByName("model"));
    check.Bad("student.model",
              absl::StrCat("missing; one of ", absl::StrJoin(facts.allowed, ", ")));
  }
  if (!student.init().empty() && !student.backbone().empty()) {
    check.Bad("student.backbone", "init has weights for the whole student: give one of them");
  }
  CheckScriptedStudent(student, check);
  const int32_t stride = student.output_stride();
  if (stride != 0 && stride != 8 && stride != 16) {
    check.Bad("student.output_stride", absl::StrCat(stride, " is not 8 or 16"));
  }
}

void CheckTeacherOf(const v1::JobSpec& spec, const std::string& loss, const std::string& teacher,
                    Checker& check) {
  if (!TeacherNamed(spec, teacher).empty()) return;
  const std::string path = absl::StrCat("losses.", loss);
  if (spec.teachers().empty()) {
    check.Bad(path, "needs a teacher: add `teacher: {checkpoint: FILE}`");
    return;
  }
  std::vector<std::string> names;
  for (const auto& [name, unused] : spec.teachers()) names.push_back(name);
  std::sort(names.begin(), names.end());
  check.Bad(path + ".teacher", absl::StrCat("no teacher `", teacher.empty() ? "default" : teacher,
                                            "`; there are: ", absl::StrJoin(names, ", ")));
}

// A list that is empty or holds [height, width].
void CheckHeightWidth(const std::string& path, const google::protobuf::RepeatedField<int32_t>& list,
                      Checker& check) {
  if (list.empty() || list.size() == 2) return;
  check.Bad(path, absl::StrCat("expected [height, width], got ", list.size(), " numbers"));
}

void CheckLosses(const v1::JobSpec& spec, Checker& check) {
  const v1::LossesSpec& losses = spec.losses();
  const std::vector<LossTeacher> teachers = TeachersOfLosses(losses);
  if (!losses.has_ce() && !losses.has_frskd() && !losses.has_frskd_classifier() &&
      !losses.has_sla() && teachers.empty()) {
    check.Bad("losses", "no term is left: nothing to train on");
  }
  for (const auto& [loss, teacher] : teachers) CheckTeacherOf(spec, loss, teacher, check);
  for (const auto& [loss, tap] : TapsOfLosses(losses)) {
    if (tap.empty() || tap.size() > 128) {
      check.Bad(absl::StrCat("losses.", loss, ".tap"),
                "expected the name of a feature map, e.g. aspp");
    }
  }
  CheckHeightWidth("losses.afdcd.crop", losses.afdcd().crop(), check);
  CheckHeightWidth("losses.afdcd.patch", losses.afdcd().patch(), check);
}

// Members that there are, have networks of their own, and stand there once.
void CheckEnsemble(const v1::JobSpec& spec, const v1::TeacherSpec& ensemble,
                   const std::string& path, Checker& check) {
  const std::string field = path + ".ensemble";
  if (ensemble.ensemble_size() < 2) check.Bad(field, "expected at least two teachers");
  if (!ensemble.checkpoint().empty() || ensemble.has_expect_miou() || !ensemble.classes().empty())
    check.Bad(field, "checkpoint, classes and expect_miou belong to its members");
  std::set<std::string> seen;
  for (const std::string& name : ensemble.ensemble()) {
    const auto member = spec.teachers().find(name);
    if (member == spec.teachers().end()) {
      check.Bad(field, absl::StrCat("there is no teacher `", name, "`"));
    } else if (!member->second.ensemble().empty()) {
      check.Bad(field, absl::StrCat("`", name, "` is an ensemble itself"));
    }
    if (!seen.insert(name).second)
      check.Bad(field, absl::StrCat("`", name, "` stands there twice"));
  }
}

// Losses that ask an ensemble for a feature map.
void CheckEnsembleTaps(const v1::JobSpec& spec, Checker& check) {
  std::map<std::string, std::string> taps;
  for (const auto& [loss, tap] : TapsOfLosses(spec.losses())) taps[loss] = tap;
  for (const auto& [loss, named] : TeachersOfLosses(spec.losses())) {
    const auto teacher = spec.teachers().find(TeacherNamed(spec, named));
    const auto tap = taps.find(loss);
    if (teacher == spec.teachers().end() || teacher->second.ensemble().empty()) continue;
    if (tap == taps.end() || tap->second == "logits") continue;
    check.Bad(absl::StrCat("losses.", loss, ".tap"),
              absl::StrCat("`", tap->second, "` of the ensemble `", teacher->first,
                           "`: an ensemble has logits alone"));
  }
}

void CheckTeachers(const v1::JobSpec& spec, Checker& check) {
  for (const auto& [name, teacher] : spec.teachers()) {
    const std::string path = JoinPath("teachers", name);
    if (!IsName(name)) check.Bad(path, "a name has letters, digits, '-', '_', '.'");
    if (!teacher.ensemble().empty()) {
      CheckEnsemble(spec, teacher, path, check);
    } else if (teacher.checkpoint().empty()) {
      check.Bad(path + ".checkpoint", "missing: the file of the teacher");
    }
  }
  CheckEnsembleTaps(spec, check);
  const std::string& views = spec.targets().views();
  if (UsedTeachers(spec).size() > 1 && (views == "auto" || absl::StartsWith(views, "whole"))) {
    check.Unavailable("targets.views",
                      absl::StrCat("views ", views, " with several teachers (use replay or live)"));
  }
}

void CheckRun(const v1::JobSpec& spec, Checker& check) {
  const std::string& cache = spec.targets().cache();
  if (!cache.empty() && !IsName(cache)) {
    check.Bad("targets.cache", "not a name: up to 100 letters, digits, '-', '_', '.'");
  }
  if (spec.run().has_teachers() && spec.run().teachers() == 0 && cache == "none" &&
      NeedsTeacher(spec.losses())) {
    check.Bad("run.teachers", "0, and targets.cache is none: no one could answer for the teacher");
  }
}

void CheckTrain(const v1::JobSpec& spec, Checker& check) {
  const v1::TrainSpec& train = spec.train();
  if (train.steps() == 0 && train.epochs() == 0) {
    check.Bad("train", "give steps or epochs: how long to train");
  }
  if (train.steps() > 0 && train.epochs() > 0) {
    check.Bad("train", "give steps or epochs, not both (`steps: 0` turns a recipe's off)");
  }
  if (spec.run().students() > train.global_batch()) {
    check.Bad("run.students",
              absl::StrCat(spec.run().students(), " students for a global batch of ",
                           train.global_batch(), ": each needs an image"));
  }
  // The targets of a student's share of a batch are one request.
  const auto most = static_cast<int64_t>(TargetRequest::kMaxSamples) * spec.run().students();
  if (spec.teachers_size() > 0 && train.global_batch() > most) {
    check.Bad("train.global_batch",
              absl::StrCat(train.global_batch(), " images for ", spec.run().students(),
                           " students: one takes at most ", TargetRequest::kMaxSamples,
                           " with a teacher; lower it, or raise run.students"));
  }
}

}  // namespace

SpecProblems CheckJob(const v1::JobSpec& spec) {
  Checker check;
  check.CheckBlock(spec, "");
  CheckViews(spec.targets().views(), check);
  CheckCodec(spec.targets().codec(), check);
  if (!IsName(spec.name())) {
    check.Bad("name", "missing or not a name: up to 100 letters, digits, '-', '_', '.'");
  }
  CheckData(spec.data(), check);
  CheckStudent(spec.student(), check);
  for (const auto& [path, text] : TaskProblems(spec)) check.Bad(path, text);
  CheckTeachers(spec, check);
  CheckLosses(spec, check);
  CheckTrain(spec, check);
  CheckRun(spec, check);
  return check.Take();
}

absl::Status ValidateJob(const v1::JobSpec& spec) { return ToStatus(CheckJob(spec)); }

}  // namespace reflux
