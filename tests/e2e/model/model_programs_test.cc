// reflux-scenes and reflux-model as a user runs them: generate, initialise, inspect, measure.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>
#include <set>
#include <string>

#include "tests/support/shell.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

class ModelProgramsTest : public testing::Test {
 protected:
  ModelProgramsTest() : folder_(testing::TempDir() + "model_programs_" + std::to_string(getpid())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~ModelProgramsTest() override { fs::remove_all(folder_); }

  // Standard output of `arguments` run in the test's folder.
  ShellOutput Run(const std::string& arguments, bool with_errors = false) {
    return RunShell("cd '" + folder_ + "' && " + std::getenv("REFLUX_BIN") + "/" + arguments +
                    (with_errors ? " 2>&1" : " 2>/dev/null"));
  }

  const std::string folder_;
};

constexpr char kScenes[] = "reflux-scenes --out scenes --train 1 --val 2 --height 48 --width 64";

TEST_F(ModelProgramsTest, ScenesInitInspectEval) {
  ASSERT_NE(std::getenv("REFLUX_BIN"), nullptr);
  ASSERT_EQ(Run(kScenes).exit_code, 0);
  const ShellOutput again = Run(kScenes, true);
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.text, HasSubstr("nothing to do"));

  ASSERT_EQ(Run("reflux-model init --seed 7 --data camvid:scenes -o a.safetensors").exit_code, 0);
  ASSERT_EQ(Run("reflux-model init --seed 7 --data camvid:scenes -o b.safetensors").exit_code, 0);
  const json a = json::parse(Run("reflux-model inspect a.safetensors --json").text);
  EXPECT_EQ(a["layout"], "reflux");
  EXPECT_EQ(a["architecture"], "deeplabv3_resnet18");
  EXPECT_EQ(a["classes"].size(), 11);
  EXPECT_EQ(a["classes"][3], "Road");
  EXPECT_EQ(a["digest"],
            json::parse(Run("reflux-model inspect b.safetensors --json").text)["digest"]);

  const ShellOutput eval =
      Run("reflux-model eval a.safetensors b.safetensors --data camvid:scenes --titles one,two "
          "--json --masks masks.png --mask-images 2");
  ASSERT_EQ(eval.exit_code, 0) << eval.text;
  const json measured = json::parse(eval.text);
  ASSERT_EQ(measured["checkpoints"].size(), 2);
  EXPECT_EQ(measured["images"], 2);
  const json& one = measured["checkpoints"][0];
  EXPECT_EQ(one["title"], "one");
  EXPECT_EQ(one["class_iou"].size(), 11);
  EXPECT_GE(one["pixel_accuracy"], 0);
  EXPECT_LE(one["pixel_accuracy"], 100);
  // The same weights measure the same.
  EXPECT_EQ(one["class_iou"], measured["checkpoints"][1]["class_iou"]);
  const cv::Mat masks = cv::imread(folder_ + "/masks.png");
  ASSERT_FALSE(masks.empty());
  EXPECT_GT(masks.cols, 4 * 240);  // image, truth and two predictions
  EXPECT_GT(masks.rows, 2 * 180);

  const ShellOutput table =
      Run("reflux-model eval a.safetensors --data camvid:scenes --max-images 1");
  EXPECT_EQ(table.exit_code, 0);
  EXPECT_THAT(table.text, testing::AllOf(HasSubstr("mIoU"), HasSubstr("Bicyclist")));
}

TEST_F(ModelProgramsTest, ModelsListsWhatNetworksCost) {
  const ShellOutput listed =
      Run("reflux-model models psp_mobilenetv2 deeplabv3_resnet18 --size 97x313 --json");
  ASSERT_EQ(listed.exit_code, 0);
  const json rows = json::parse(listed.text);
  ASSERT_EQ(rows.size(), 2);
  EXPECT_EQ(rows[0]["architecture"], "psp_mobilenetv2");
  EXPECT_EQ(rows[0]["parameters"], 2654739);
  EXPECT_EQ(rows[1]["parameters"], 13607974);
  EXPECT_GT(rows[1]["multiply_adds"], rows[0]["multiply_adds"]);
  EXPECT_EQ(rows[1]["taps"][3], (json{{"name", "c4"}, {"channels", 512}, {"stride", 8}}));

  const ShellOutput table = Run("reflux models psp_mobilenetv2 --size 512x1024");
  EXPECT_EQ(table.exit_code, 0);
  EXPECT_THAT(table.text, testing::AllOf(HasSubstr("512x1024"), HasSubstr("2.65 M"),
                                         HasSubstr("c4 320/8, aspp 128/8, logits 19/8")));
}

TEST_F(ModelProgramsTest, JobFilesAllowTheNetworksThereAre) {
  const ShellOutput explained = Run("reflux explain student.model --json");
  ASSERT_EQ(explained.exit_code, 0);
  auto allowed = json::parse(explained.text)["allowed"].get<std::set<std::string>>();
  EXPECT_EQ(allowed.erase("torchscript"), 1U);  // a file's, not of the table
  std::string list;
  for (const std::string& name : allowed) list += (list.empty() ? "{" : ",") + name;
  EXPECT_THAT(Run("reflux-model init --model vgg -o a.safetensors", true).text,
              HasSubstr(list + "}"));
}

TEST_F(ModelProgramsTest, ImportInspectExport) {
  ASSERT_EQ(Run("reflux-model init --classes 3 -o a.safetensors").exit_code, 0);
  const ShellOutput imported = Run(
      "reflux-model import a.safetensors --architecture deeplabv3_resnet18 --out b.safetensors");
  ASSERT_EQ(imported.exit_code, 0) << imported.text;
  EXPECT_EQ(json::parse(Run("reflux-model inspect a.safetensors --json").text)["digest"],
            json::parse(Run("reflux-model inspect b.safetensors --json").text)["digest"]);

  ASSERT_EQ(Run("reflux-model import a.safetensors --backbone-of deeplabv3_resnet18 --classes 4 "
                "--out c.safetensors")
                .exit_code,
            0);
  EXPECT_EQ(json::parse(Run("reflux-model inspect c.safetensors --json").text)["num_classes"], 4);
  EXPECT_THAT(Run("reflux-model import a.safetensors --out b.safetensors", true).text,
              HasSubstr("--force"));

  const std::string foreign =
      std::string(std::getenv("REFLUX_SOURCE")) + "/tests/unit/distill/checkpoint/data/zip.pth";
  EXPECT_THAT(Run("reflux-model inspect --names " + foreign).text,
              testing::AllOf(HasSubstr("tensors: 9"), HasSubstr("argparse.Namespace"),
                             HasSubstr("transposed  [4, 3]")));

  const ShellOutput exported = Run("reflux-model export a.safetensors --onnx a.onnx");
  ASSERT_EQ(exported.exit_code, 0) << exported.text;
  EXPECT_THAT(exported.text, HasSubstr("opset 17"));
  EXPECT_GT(fs::file_size(folder_ + "/a.onnx"), 50'000'000U);  // 13.6 million weights
}

TEST_F(ModelProgramsTest, TorchScriptRunsOnlyWhenToldTo) {
  const std::string module =
      std::string(std::getenv("REFLUX_SOURCE")) + "/tests/unit/distill/checkpoint/data/scripted.pt";
  const json listed = json::parse(Run("reflux-model inspect --json " + module).text);
  EXPECT_EQ(listed["run"], false);
  EXPECT_EQ(listed["tensors"]["norm.running_var"]["kind"], "buffer");
  EXPECT_EQ(listed["preprocessing"]["order"], "BGR");
  EXPECT_FALSE(listed.contains("taps"));
  const json ran = json::parse(Run("reflux-model inspect --json --run-torchscript " + module).text);
  EXPECT_EQ(ran["taps"][1], (json{{"name", "logits"}, {"channels", 3}, {"stride", 2}}));
  EXPECT_EQ(ran["code_digest"], listed["code_digest"]);

  // Three classes of its own, so that the module fits.
  fs::create_directories(folder_ + "/own/images/val");
  fs::create_directories(folder_ + "/own/labels/val");
  cv::Mat image(32, 48, CV_8UC3);
  cv::randu(image, 0, 255);
  cv::imwrite(folder_ + "/own/images/val/a.png", image);
  cv::imwrite(folder_ + "/own/labels/val/a.png", cv::Mat(32, 48, CV_8UC1, cv::Scalar(1)));
  std::ofstream(folder_ + "/job.yaml")
      << "name: own\ndata: {format: folders, images: own/images, labels: own/labels, "
         "classes: [a, b, c]}\nlosses: {ce: {}}\nstudent: {model: psp_resnet18}\n"
         "train: {steps: 1}\n";
  const std::string eval =
      "reflux-model eval " + module + " " + module + " --titles t,s --data job.yaml ";
  const ShellOutput refused = Run(eval, true);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.text, HasSubstr("--run-torchscript runs it"));
  const auto measured = [&](const std::string& more) {
    const ShellOutput output =
        Run(eval + "--run-torchscript --json --slide 16x24 --flip --masks m.png " + more);
    EXPECT_EQ(output.exit_code, 0) << output.text;
    EXPECT_FALSE(cv::imread(folder_ + "/m.png").empty());
    return json::parse(output.text)["checkpoints"][1];
  };
  const json own = measured("");
  EXPECT_EQ(own["architecture"], "torchscript");
  EXPECT_EQ(own["agreement_with_first"], 100);
  EXPECT_EQ(measured(R"(--preprocessing '{"order": "BGR", "divisor": 1, "mean": [104, 117, 123],)"
                     R"( "deviation": [1, 1, 1]}')")["class_iou"],
            own["class_iou"]);  // what the file says

  ASSERT_EQ(Run("reflux-model export " + module +
                " --run-torchscript --preprocessing torchvision "
                "--torchscript rgb.pt --safetensors w.safetensors --onnx rgb.onnx")
                .exit_code,
            0);
  EXPECT_EQ(json::parse(Run("reflux-model inspect --json rgb.pt").text)["preprocessing"]["order"],
            "RGB");
  EXPECT_THAT(Run("reflux-model inspect --names w.safetensors").text,
              HasSubstr("norm.running_var"));
  EXPECT_GT(fs::file_size(folder_ + "/rgb.onnx"), 300U);
  for (const char* command : {"inspect cut.pt", "eval cut.pt --run-torchscript --data job.yaml",
                              "export cut.pt --run-torchscript --onnx no.onnx"}) {
    fs::copy_file(module, folder_ + "/cut.pt", fs::copy_options::overwrite_existing);
    fs::resize_file(folder_ + "/cut.pt", 3000);
    const ShellOutput cut = Run(std::string("reflux-model ") + command, true);
    EXPECT_EQ(cut.exit_code, 1) << command;
    EXPECT_THAT(cut.text, HasSubstr("truncated")) << command;
  }
}

TEST_F(ModelProgramsTest, EvalSlidesFlipsScalesAndWritesPredictions) {
  ASSERT_EQ(Run(kScenes).exit_code, 0);
  ASSERT_EQ(Run("reflux-model init --seed 7 --data camvid:scenes -o a.safetensors").exit_code, 0);
  ASSERT_EQ(Run("reflux-model init --seed 8 --data camvid:scenes -o b.safetensors").exit_code, 0);
  const ShellOutput eval =
      Run("reflux-model eval a.safetensors a.safetensors b.safetensors --titles a,same,b --data "
          "camvid:scenes --slide 32x48 --scales 0.5,1 --flip --save out --as overlay --json");
  ASSERT_EQ(eval.exit_code, 0) << eval.text;
  const json checkpoints = json::parse(eval.text)["checkpoints"];
  EXPECT_EQ(checkpoints[0]["agreement_with_first"], 100);
  EXPECT_EQ(checkpoints[1]["agreement_with_first"], 100);
  EXPECT_LT(checkpoints[2]["agreement_with_first"], 100);
  EXPECT_LE(checkpoints[2]["miou_published"], checkpoints[2]["miou"]);
  for (const char* title : {"a", "same", "b"}) {
    const cv::Mat overlay = cv::imread(folder_ + "/out/" + title + "/val/scene_000001.png");
    EXPECT_EQ(overlay.size(), cv::Size(64, 48)) << title;
  }
  // Images alone are enough to predict.
  fs::remove_all(folder_ + "/scenes/valannot");
  const ShellOutput predicted =
      Run("reflux-model eval a.safetensors --data camvid:scenes --no-labels --save out2 --as "
          "classes --json");
  ASSERT_EQ(predicted.exit_code, 0);
  EXPECT_TRUE(json::parse(predicted.text)["checkpoints"][0]["miou"].is_null());
  EXPECT_FALSE(cv::imread(folder_ + "/out2/a/val/scene_000000.png").empty());
  EXPECT_EQ(
      Run("reflux-model eval a.safetensors --data camvid:scenes --no-labels --save out3").text,
      "2 images, no labels: nothing to measure\npredictions: out3\n");
  EXPECT_EQ(Run("reflux-model eval a.safetensors --data camvid:scenes").exit_code, 1);
}

TEST_F(ModelProgramsTest, DataCheckTellsAllThatIsWrong) {
  ASSERT_EQ(Run(kScenes).exit_code, 0);
  const ShellOutput sound =
      Run("reflux-data check --format camvid --root scenes --overlay overlay.png --json");
  ASSERT_EQ(sound.exit_code, 0) << sound.text;
  const json splits = json::parse(sound.text);
  ASSERT_EQ(splits.size(), 2);
  EXPECT_EQ(splits[1]["split"], "val");
  EXPECT_EQ(splits[1]["images"], 2);
  const ShellOutput both = Run("reflux-data check job.yaml --split val", true);
  EXPECT_EQ(both.exit_code, 2) << "a job names its splits itself";
  EXPECT_THAT(both.text, HasSubstr("JOB excludes --split"));
  int64_t pixels = splits[1]["ignored_pixels"];
  for (const json& entry : splits[1]["classes"]) pixels += entry["pixels"].get<int64_t>();
  EXPECT_EQ(pixels, 2 * 48 * 64);
  EXPECT_FALSE(cv::imread(folder_ + "/overlay.png").empty());
  fs::remove(folder_ + "/scenes/trainannot/scene_000000.png");
  fs::resize_file(folder_ + "/scenes/val/scene_000000.jpg", 300);
  cv::imwrite(folder_ + "/scenes/valannot/scene_000001.png",
              cv::Mat(48, 64, CV_8UC1, cv::Scalar(77)));
  const ShellOutput broken = Run("reflux-data check --format camvid --root scenes");
  EXPECT_EQ(broken.exit_code, 1);
  for (const char* problem :
       {"train/scene_000000.jpg has no label", "truncated", "label value 77"}) {
    EXPECT_THAT(broken.text, HasSubstr(problem));
  }
  EXPECT_EQ(Run("reflux-data check").exit_code, 2);
  EXPECT_EQ(Run("reflux-data check --format camvid --root nowhere").exit_code, 1);
}

TEST_F(ModelProgramsTest, ErrorsSayWhatIsWrong) {
  ASSERT_EQ(Run(kScenes).exit_code, 0);
  const auto expect = [this](const std::string& arguments, int exit_code, const char* said) {
    const ShellOutput outcome = Run(arguments, true);
    EXPECT_EQ(outcome.exit_code, exit_code) << arguments;
    EXPECT_THAT(outcome.text, HasSubstr(said)) << arguments;
  };
  expect("reflux-scenes --out scenes --seed 9", 1, "choose another folder");
  expect("reflux-scenes --out other --width 7", 2, "width is 7");
  expect("reflux-model", 2, "subcommand");
  expect("reflux-model --help", 0, "inspect");
  expect("reflux-model inspect none.safetensors", 1, "none.safetensors");
  expect("reflux-model init --model vgg -o a.safetensors", 2, "deeplabv3_resnet18");
  expect("reflux-model models --size 9", 2, "HEIGHTxWIDTH");
  expect("reflux-model models vgg", 2, "deeplabv3_resnet18");
  expect("reflux-model init --classes 5 --data camvid:scenes -o a.safetensors", 2, "has 11");
  ASSERT_EQ(Run("reflux-model init --classes 5 -o five.safetensors").exit_code, 0);
  expect("reflux-model init -o five.safetensors", 1, "--force");
  expect("reflux-model eval five.safetensors --data camvid:scenes", 1, "5 classes");
  expect("reflux-model eval five.safetensors --data scenes", 2, "FORMAT:FOLDER");
  expect("reflux-model eval five.safetensors --data camvid:scenes --preprocessing cirkd", 2,
         "none is given");
  expect("reflux-model eval five.safetensors --data camvid:scenes --preprocessing vgg", 2,
         "expected cirkd");
  expect("reflux-model export five.safetensors", 2, "--onnx");
  expect("reflux-model export five.safetensors --torchscript five.pt", 1,
         "TorchScript modules alone");
  expect("reflux-model eval five.safetensors --data camvid:scenes --size 9", 2, "HEIGHTxWIDTH");
  expect("reflux-model eval five.safetensors --data camvid:scenes --titles a,b", 2, "2 titles");
  expect("reflux-model eval five.safetensors --data camvid:nowhere", 1, "nowhere");
  expect("reflux-model eval five.safetensors --data camvid:scenes --stride 8x8", 2, "eval_stride");
  expect("reflux-model eval five.safetensors --data camvid:scenes --as gif", 2, "overlay");
}

}  // namespace
}  // namespace reflux
