// Makes networks by name.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "distill/models/model_options.h"
#include "distill/models/segmentation_model.h"

namespace reflux {

// A network in training mode on the CPU in float32, its weights LibTorch's random ones: call
// InitializeWeights or load a checkpoint. InvalidArgument for invalid options; NotFound for an
// unknown architecture, listing the known ones.
absl::StatusOr<std::shared_ptr<SegmentationModel>> BuildModel(const ModelOptions& options);

// The options as BuildModel completes them: aspp_width and output_stride filled in, aux off for a
// network without an auxiliary head. InvalidArgument for an output stride that it has not.
absl::StatusOr<ModelOptions> ResolveModelOptions(ModelOptions options);

// Draws every weight anew, as the reference code does: convolutions of the backbone ("pretrained.",
// "backbone.") from a normal distribution with variance 2 / fan_out (He et al. 2015), those of the
// DeepLabV3+ head with 2 / fan_in, others and linear layers uniformly within 1 / sqrt(fan_in);
// biases of the backbone 0, norms 1 and 0 with fresh statistics. A wide ResNet is all backbone, its
// linear layer's bias 0; the weights of a pyramid's sums are 1. Beyond the reference code, the norm
// that ends a residual branch starts at weight 0 (Goyal et al. 2017, 5.1): published runs start
// from ImageNet weights, and without them a ResNet-101 needs it to learn at all in few steps. A
// function of (seed, parameter name, shape) alone. Throws c10::Error for a parameter of another
// kind.
void InitializeWeights(torch::nn::Module& model, uint64_t seed);

}  // namespace reflux
