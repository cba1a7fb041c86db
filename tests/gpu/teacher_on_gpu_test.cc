// A teacher on the GPU answers as on the CPU up to rounding, in each of its types.
#include "distill/models/build_model.h"
#include "distill/teacher/local_source.h"
#include "tests/gpu/on_gpu.h"

namespace reflux {
namespace {

class TeacherOnGpu : public OnGpu {};

TapOutputs MapsOf(const std::string& architecture, ComputeDType compute,
                  const torch::Device& device) {
  ModelOptions options;
  options.architecture = architecture;
  options.num_classes = 3;
  const std::shared_ptr<SegmentationModel> model = BuildModel(options).value();
  InitializeWeights(*model, 17);
  Numerics numerics;
  numerics.mode = NumericsMode::kExact;
  numerics.compute = compute;
  numerics.threads = 1, numerics.batch = 2;
  const Teacher teacher = MakeTeacher(model, {}, numerics, device, {2, 0, 1}).value();
  torch::manual_seed(1);
  const absl::StatusOr<TapOutputs> maps =
      RunTeacher(teacher, torch::randn({3, 3, 64, 96}), {"aspp", "logits"});
  EXPECT_TRUE(maps.ok()) << maps.status();
  return maps.ok() ? *maps : TapOutputs();
}

TEST_F(TeacherOnGpu, AnswersAsOnTheCpu) {
  for (const char* architecture :
       {"deeplabv3_resnet18", "psp_mobilenetv2", "deeplabv3plus_mobilenetv2",
        "torchvision_deeplabv3_mobilenet_v3_large"}) {
    for (const auto& [compute, tolerance] :
         {std::pair(ComputeDType::kFp32, 1e-4), std::pair(ComputeDType::kFp64, 1e-10),
          std::pair(ComputeDType::kBf16, 0.2)}) {
      SCOPED_TRACE(absl::StrCat(architecture, " ", static_cast<int>(compute)));
      const TapOutputs here = MapsOf(architecture, compute, torch::kCPU);
      const TapOutputs there = MapsOf(architecture, compute, device_);
      ASSERT_EQ(here.size(), there.size());
      for (const auto& [tap, map] : here) {
        EXPECT_EQ(there.at(tap).device().type(), device_.type());
        EXPECT_LT(Difference(there.at(tap), map), tolerance) << tap;
      }
    }
  }
}

}  // namespace
}  // namespace reflux
