// What a network costs.
#pragma once

#include "distill/models/segmentation_model.h"

namespace reflux {

struct ModelCost {
  int64_t parameters = 0;  // trainable numbers, with the auxiliary head if it has one
  // Of the convolutions of one image's forward without the auxiliary head, as papers count them;
  // norms, pools and upsampling are left out.
  int64_t multiply_adds = 0;
};

// At an image of height x width, 16 pixels or more each. Two small forwards of `model` (on its
// device, leaving it in evaluation mode) tell the strides of its convolutions, so the work does not
// depend on height and width. Its parameters must require gradients.
ModelCost MeasureCost(SegmentationModel& model, int64_t height, int64_t width);

}  // namespace reflux
