#include "distill/export/onnx_export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "distill/checkpoint/scripted_model.h"
#include "distill/models/architectures.h"
#include "distill/models/build_model.h"
#include "tests/support/shell.h"

namespace reflux {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr int kNotInstalled = 77;

std::string Folder() {
  std::string info = testing::UnitTest::GetInstance()->current_test_info()->name();
  for (char& c : info) c = c == '/' ? '_' : c;
  std::string folder = absl::StrCat(testing::TempDir(), "/reflux_onnx_", getpid(), "_", info);
  std::filesystem::create_directories(folder);
  return folder;
}

ModelCheckpoint SmallCheckpoint(const std::string& architecture) {
  ModelCheckpoint checkpoint;
  checkpoint.info.options = {.architecture = architecture, .num_classes = 5};
  // Classifiers have no such head.
  if (FindArchitecture(architecture)->aspp_width > 0) checkpoint.info.options.aspp_width = 16;
  checkpoint.info.options = *ResolveModelOptions(checkpoint.info.options);
  checkpoint.info.preprocessing.bgr = true;
  checkpoint.model = *BuildModel(checkpoint.info.options);
  InitializeWeights(*checkpoint.model, 3);
  // Statistics as after training; fresh ones would hide a swapped mean and variance.
  torch::NoGradGuard no_grad;
  torch::manual_seed(1);
  for (const auto& item : checkpoint.model->named_buffers()) {
    Tensor buffer = item.value();
    if (buffer.is_floating_point()) buffer.uniform_(0.5, 1.5);
  }
  for (const auto& item : checkpoint.model->named_parameters()) {
    Tensor parameter = item.value();
    if (parameter.dim() == 1) parameter.uniform_(0.2, 1);
  }
  checkpoint.model->eval();
  return checkpoint;
}

Tensor ReadFloats(const std::string& path, torch::IntArrayRef shape) {
  const Tensor values = torch::empty(shape);
  std::ifstream file(path, std::ios::binary);
  file.read(static_cast<char*>(values.data_ptr()), static_cast<int64_t>(values.nbytes()));
  EXPECT_EQ(file.gcount(), static_cast<int64_t>(values.nbytes()));
  return values;
}

// A module that Python's torch.jit.script made, with a batch norm and dropout.
ModelCheckpoint ScriptedCheckpointOfPython() {
  return AsModelCheckpoint(
      LoadScriptedModel(absl::StrCat(REFLUX_TESTS, "/unit/distill/checkpoint/data/scripted.pt"))
          .value());
}

class OnnxExportTest : public testing::TestWithParam<std::string> {};

TEST_P(OnnxExportTest, OnnxruntimeGivesOurLogitsAtEverySize) {
  const ModelCheckpoint checkpoint =
      GetParam() == kTorchScript ? ScriptedCheckpointOfPython() : SmallCheckpoint(GetParam());
  const int64_t classes = checkpoint.model->num_classes();
  const std::string folder = Folder(), model = folder + "/model.onnx";
  const absl::Status exported = ExportOnnx(model, checkpoint);
  ASSERT_TRUE(exported.ok()) << exported;

  torch::NoGradGuard no_grad;
  const std::vector<std::vector<int64_t>> shapes = {{2, 3, 64, 96}, {1, 3, 101, 75}};
  std::string command = absl::StrCat(REFLUX_TESTS, "/onnxruntime.sh ", REFLUX_TESTS,
                                     "/unit/distill/export/run_onnx.py ", model);
  std::vector<Tensor> images;
  for (const auto& shape : shapes) {
    images.push_back(torch::randn(shape));
    const std::string image = absl::StrCat(folder, "/image", images.size());
    std::ofstream(image, std::ios::binary)
        .write(static_cast<const char*>(images.back().data_ptr()),
               static_cast<int64_t>(images.back().nbytes()));
    absl::StrAppend(&command, " ", shape[0], ",3,", shape[2], ",", shape[3], " ", image, " ",
                    folder, "/logits", images.size());
  }
  const ShellOutput outcome = RunShell(command + " 2>&1");
  if (outcome.exit_code == kNotInstalled) GTEST_SKIP() << outcome.text;
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr(absl::StrCat("architecture=", GetParam())));
  EXPECT_THAT(outcome.text, HasSubstr("\"order\":\"BGR\""));
  for (size_t i = 0; i < images.size(); ++i) {
    const Tensor ours = checkpoint.model->Forward(images[i], {}).at("logits");
    const bool classifier = checkpoint.info.options.output_stride == 0;
    EXPECT_THAT(outcome.text,
                HasSubstr(classifier ? absl::StrCat("shape ", ours.size(0), " ", classes, "\n")
                                     : absl::StrCat("shape ", ours.size(0), " ", classes, " ")));
    const Tensor theirs = ReadFloats(absl::StrCat(folder, "/logits", i + 1), ours.sizes());
    const double difference = (ours - theirs).abs().max().item<double>();
    EXPECT_LT(difference, 1e-4 * ours.abs().max().item<double>());
    EXPECT_GT(ours.std().item<double>(), 0);
  }
  std::filesystem::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Architectures, OnnxExportTest,
                         testing::Values("deeplabv3_resnet18", "psp_resnet18",
                                         "deeplabv3plus_mobilenetv2",
                                         "torchvision_deeplabv3_mobilenet_v3_large",
                                         "efficientdet_b0_seg", "mmseg_deeplabv3_resnet18",
                                         "mmseg_psp_resnet18", "cifar_resnet18", "wrn16x2",
                                         kTorchScript),
                         [](const auto& info) { return info.param; });

// One operator that no translation exists for.
class Unexportable : public SegmentationModel {
 public:
  TapOutputs Forward(const Tensor& images, const std::vector<std::string>&) override {
    return {{"logits", torch::erf(images)}};
  }
  std::vector<TapInfo> taps() const override { return {{"logits", 3, 1}}; }
  int64_t num_classes() const override { return 3; }
  std::string architecture() const override { return "unexportable"; }
};

TEST(OnnxExportErrorTest, AnUnknownOperatorIsNamed) {
  const std::string path = Folder() + "/model.onnx";
  const absl::Status status =
      ExportOnnx(path, {.model = std::make_shared<Unexportable>(), .info = {}});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("aten::erf"));
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace reflux
