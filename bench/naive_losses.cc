#include "bench/naive_losses.h"

#include <map>

#include "bench/naive_modules.h"

namespace reflux {
namespace {

using torch::Tensor;

Tensor Kd(const NaiveInputs& in) { return NaiveDivergence(in.student, in.teacher); }

// Every pair of classes at every position: [N,C,C,hw].
Tensor Icsd(const NaiveInputs& in) {
  const auto matrix = [](const Tensor& logits) {
    const Tensor p = torch::softmax(logits.flatten(2), 2);
    const Tensor ratio = p.unsqueeze(2).log() - p.unsqueeze(1).log();
    return NaiveUnit((p.unsqueeze(2) * ratio).sum(3).mean(0), 1);
  };
  return (matrix(in.student) - matrix(in.teacher)).square().mean() /
         static_cast<double>(in.student.size(0));
}

// Class by class, pair by pair.
Tensor I2ckd(const NaiveInputs& in) {
  const auto prototype = [&](const Tensor& map, int64_t c) {
    const Tensor mask = (in.labels == c).unsqueeze(1).to(map.dtype());
    return (map * mask).sum({0, 2, 3}) / mask.sum();
  };
  std::vector<Tensor> student, teacher;
  for (int64_t c = 0; c < in.num_classes; ++c) {
    if (!(in.labels == c).any().item<bool>()) continue;
    student.push_back(prototype(in.student, c));
    teacher.push_back(prototype(in.teacher, c));
  }
  Tensor total = torch::zeros({});
  for (size_t c = 0; c < student.size(); ++c) {
    for (size_t d = 0; d < student.size(); ++d) {
      if (c == d) continue;
      const Tensor gap = (student[c] - teacher[c]).norm() - (student[c] - teacher[d]).norm();
      total = total + torch::relu(gap + 1);
    }
  }
  return total / static_cast<double>(student.size() * (student.size() - 1));
}

Tensor Cwd(const NaiveInputs& in) {
  const Tensor p = torch::softmax(in.teacher.flatten(2) / 4, 2);
  const Tensor q = torch::softmax(in.student.flatten(2) / 4, 2);
  return 16 * (p * (p.log() - q.log())).sum(2).mean();
}

Tensor Skd(const NaiveInputs& in) {
  const auto similarity = [](const Tensor& map) {
    const Tensor unit =
        NaiveUnit(torch::max_pool2d(map, 2, 2, 0, 1, /*ceil_mode=*/true).flatten(2), 1);
    return torch::einsum("ncp,ncq->npq", {unit, unit});
  };
  return (similarity(in.student) - similarity(in.teacher)).square().mean();
}

Tensor At(const NaiveInputs& in) {
  return (NaiveAttention(in.student) - NaiveAttention(in.teacher)).square().mean();
}

Tensor FitNet(const NaiveInputs& in) { return (in.student - in.teacher).square().mean(); }

Tensor Ifvd(const NaiveInputs& in) {
  const auto variation = [&](const Tensor& map) {
    Tensor centre = torch::zeros_like(map);
    for (int64_t c = 0; c < in.num_classes; ++c) {
      const Tensor mask = (in.labels == c).unsqueeze(1).to(map.dtype());
      const Tensor sum = (map * mask).sum({2, 3}, /*keepdim=*/true);
      centre = centre + mask * sum / (mask.sum({2, 3}, /*keepdim=*/true) + 1e-6);
    }
    return torch::cosine_similarity(map, centre, 1);
  };
  return (variation(in.student) - variation(in.teacher)).square().mean();
}

Tensor Csd(const NaiveInputs& in) {
  const auto similarity = [](const Tensor& map) {
    const Tensor p =
        torch::softmax(torch::avg_pool2d(map, 2, 2, 0, /*ceil_mode=*/true).flatten(2) / 4, 2);
    return torch::einsum("ncp,ndp->ncd", {p, p});
  };
  return (similarity(in.student) - similarity(in.teacher)).square().mean();
}

// Pair by pair.
Tensor Cirkd(const NaiveInputs& in) {
  const auto pooled = [](const Tensor& map) {
    return NaiveUnit(torch::avg_pool2d(map, 2, 2, 0, /*ceil_mode=*/true).flatten(2), 1);
  };
  const Tensor student = pooled(in.student), teacher = pooled(in.teacher);
  Tensor total = torch::zeros({});
  for (int64_t i = 0; i < student.size(0); ++i) {
    for (int64_t j = 0; j < student.size(0); ++j) {
      total = total + NaiveDivergence(student[i].t().matmul(student[j]) / 0.1,
                                      teacher[i].t().matmul(teacher[j]) / 0.1);
    }
  }
  return total / static_cast<double>(student.size(0) * student.size(0));
}

}  // namespace

Tensor NaiveUnit(const Tensor& vectors, int64_t dim) {
  return vectors / vectors.norm(2, dim, /*keepdim=*/true).clamp_min(1e-12);
}

Tensor NaiveDivergence(const Tensor& student, const Tensor& teacher) {
  const Tensor p = torch::softmax(teacher, 1), q = torch::softmax(student, 1);
  return (p * (p.log() - q.log())).sum(1).mean();
}

Tensor NaiveAttention(const Tensor& map) { return NaiveUnit(map.pow(2).mean(1).flatten(1), 1); }

Tensor NaiveLoss(const std::string& name, const NaiveInputs& inputs) {
  static const auto& losses =
      *new std::map<std::string, LossForm>{{"kd", Kd},
                                           {"icsd", Icsd},
                                           {"i2ckd", I2ckd},
                                           {"cwd", Cwd},
                                           {"skd", Skd},
                                           {"at", At},
                                           {"fitnet", FitNet},
                                           {"ifvd", Ifvd},
                                           {"csd", Csd},
                                           {"cirkd", Cirkd},
                                           {"contrast", NaiveContrast(kOmniCells)},
                                           {"contrast_spatial", NaiveContrast(kSpatialCells)},
                                           {"contrast_channel", NaiveContrast(kChannelCells)},
                                           {"afdcd_omni", NaiveAfdcd(kOmniCells)},
                                           {"afdcd_spatial", NaiveAfdcd(kSpatialCells)},
                                           {"afdcd_channel", NaiveAfdcd(kChannelCells)},
                                           {"afdcd_bottleneck", NaiveAfdcd(kOmniCells)},
                                           {"cirkd_memory", NaiveMemory},
                                           {"frskd", NaiveFrskd},
                                           {"frskd_fitnet", NaiveFrskdFitNet},
                                           {"frskd_overhaul", NaiveFrskdOverhaul}};
  const auto found = losses.find(name);
  TORCH_CHECK_VALUE(found != losses.end(), "no naive form of '", name, "'");
  return found->second(inputs);
}

}  // namespace reflux
