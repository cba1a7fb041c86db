// One rank against three, with shares of different sizes: values and averaged gradients agree.
#include <gtest/gtest.h>

#include <mutex>

#include "distill/losses/frskd_classifier_loss.h"
#include "distill/losses/frskd_loss.h"
#include "distill/losses/label_rotation.h"
#include "distill/losses/loss_set.h"
#include "tests/unit/distill/losses/scratch_losses.h"
#include "tests/unit/distill/models/thread_ranks.h"

namespace reflux {
namespace {

using torch::Tensor;

// The differentiable sum over the ranks: its backward sums the gradients.
class RankSum : public torch::autograd::Function<RankSum> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& local,
                        BatchNormSync* ranks) {
    context->saved_data["ranks"] = reinterpret_cast<int64_t>(ranks);
    return ranks->AllReduceSum(local.detach());
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    auto* ranks = reinterpret_cast<BatchNormSync*>(context->saved_data["ranks"].toInt());
    return {ranks->AllReduceSum(gradients[0]), Tensor()};
  }
};

class ThreadCollectives : public LossCollectives {
 public:
  explicit ThreadCollectives(std::shared_ptr<BatchNormSync> ranks) : ranks_(std::move(ranks)) {}
  Tensor AllReduceSumDifferentiable(const Tensor& local) override {
    ++differentiable;
    return RankSum::apply(local, ranks_.get());
  }
  void AllReduceSum(Tensor& local) override {
    ++plain;
    local = ranks_->AllReduceSum(local);
  }
  int world_size() const override { return ranks_->world_size(); }
  int differentiable = 0, plain = 0;

 private:
  std::shared_ptr<BatchNormSync> ranks_;
};

LossInputs Share(const LossInputs& whole, int64_t first, int64_t last) {
  LossInputs share = whole;
  share.first_position = whole.first_position + static_cast<uint64_t>(first);
  for (auto* maps : {&share.student, &share.teacher}) {
    for (auto& [tap, map] : *maps) map = map.slice(0, first, last);
  }
  for (auto& [tap, map] : share.rotated) map = map.slice(0, 4 * first, 4 * last);
  share.labels = whole.labels.slice(0, first, last);
  if (whole.mixed_labels.defined()) share.mixed_labels = whole.mixed_labels.slice(0, first, last);
  return share;
}

struct StepOutcome {
  LossResult result;
  std::map<std::string, Tensor> gradients;  // of the networks' and the losses' parameters
};

// A student of one scale for each channel of each map, so that gradients have something to average.
std::map<std::string, Tensor> MakeScales(LossInputs& inputs) {
  std::map<std::string, Tensor> scales;
  for (auto& [tap, map] : inputs.student) {
    scales[tap] = torch::linspace(0.5, 1.5, map.size(1), torch::kFloat64)
                      .view({1, -1, 1, 1})
                      .requires_grad_();
    map = map * scales[tap];
  }
  return scales;
}

// `sync` is for the losses' own norms.
StepOutcome RunStep(LossInputs inputs, const std::vector<NamedLoss>& losses,
                    LossCollectives& collectives, bool stop,
                    const std::shared_ptr<BatchNormSync>& sync = nullptr) {
  std::vector<LossTerm> terms;
  for (const NamedLoss& named : losses) {
    terms.push_back({.name = named.name,
                     .loss = named.make(),
                     .weight = 0.5 + static_cast<double>(terms.size()),
                     .schedule = LossSchedule::kAlw,
                     .kind = terms.empty() ? LossKind::kTask : LossKind::kRelation});
  }
  LossSet set(std::move(terms));
  SetBatchNormSync(set, sync);
  const auto scales = MakeScales(inputs);
  StepOutcome outcome;
  outcome.result = set.Compute(inputs, 1, 4, collectives, stop);
  outcome.result.total.backward();
  for (const auto& [tap, scale] : scales) outcome.gradients[tap] = scale.grad();
  for (const auto& item : set.named_parameters()) {
    outcome.gradients[item.key()] = item.value().grad();
  }
  return outcome;
}

StepOutcome RunAlone(const LossInputs& whole, const std::vector<NamedLoss>& losses) {
  SingleProcessCollectives alone;
  return RunStep(whole, losses, alone, false);
}

// Gradients averaged over the ranks, as the reducer does; a rank without one adds zero.
std::map<std::string, Tensor> Average(const std::vector<StepOutcome>& ranks) {
  std::map<std::string, Tensor> mean;
  for (const StepOutcome& rank : ranks) {
    for (const auto& [name, gradient] : rank.gradients) {
      if (!gradient.defined()) continue;
      const Tensor part = gradient / static_cast<double>(ranks.size());
      mean[name] = mean.count(name) > 0 ? mean[name] + part : part;
    }
  }
  return mean;
}

void ExpectSame(const StepOutcome& alone, const std::vector<StepOutcome>& ranks) {
  for (const StepOutcome& rank : ranks) {
    EXPECT_NEAR(rank.result.total_value, alone.result.total_value, 1e-10);
    EXPECT_EQ(rank.result.weights, alone.result.weights);
    for (const auto& [name, value] : alone.result.values) {
      EXPECT_NEAR(rank.result.values.at(name), value, 1e-10) << name;
    }
  }
  const auto averaged = Average(ranks);
  for (const auto& [name, gradient] : alone.gradients) {
    if (!gradient.defined()) continue;
    ASSERT_EQ(averaged.count(name), 1u) << name;
    EXPECT_LT((averaged.at(name) - gradient).abs().max().item<double>(), 1e-10) << name;
  }
}

std::vector<StepOutcome> RunRanks(const LossInputs& whole, const std::vector<NamedLoss>& losses,
                                  const std::vector<int64_t>& bounds, int stopping_rank = -1) {
  const int world = static_cast<int>(bounds.size()) - 1;
  std::vector<StepOutcome> outcomes(world);
  ThreadRanks ranks(world);
  ranks.Run([&](int rank, std::shared_ptr<BatchNormSync> sync) {
    ThreadCollectives collectives(sync);
    outcomes[rank] = RunStep(Share(whole, bounds[rank], bounds[rank + 1]), losses, collectives,
                             rank == stopping_rank, sync);
    EXPECT_EQ(collectives.plain, 1);
    EXPECT_LE(collectives.differentiable, 1);
  });
  return outcomes;
}

TEST(LossRanksTest, EachLossIsTheSameOnOneAndThreeRanks) {
  const LossInputs whole = RandomInputs(4);
  for (const NamedLoss& named : AllLosses()) {
    SCOPED_TRACE(named.name);
    const StepOutcome alone = RunAlone(whole, {named});
    ExpectSame(alone, RunRanks(whole, {named}, {0, 2, 3, 4}));
    ExpectSame(alone, RunRanks(whole, {named}, {0, 3, 3, 4}));  // one rank has no image
  }
}

TEST(LossRanksTest, AllLossesTogetherTakeTwoCollectives) {
  const LossInputs whole = RandomInputs(5);
  ExpectSame(RunAlone(whole, AllLosses()), RunRanks(whole, AllLosses(), {0, 2, 4, 5}));
}

TEST(LossRanksTest, TheMemoryTakesInTheSameBatchOnEveryRank) {
  std::mutex mutex;
  std::vector<std::shared_ptr<Loss>> made;
  const NamedLoss learning{"cirkd_memory", [&]() -> std::shared_ptr<Loss> {
                             const auto loss = MakeFilledMemory();
                             loss->train();
                             const std::lock_guard<std::mutex> lock(mutex);
                             return made.emplace_back(loss);
                           }};
  const LossInputs whole = RandomInputs(4);
  RunAlone(whole, {learning});
  RunRanks(whole, {learning}, {0, 2, 3, 4});
  ASSERT_EQ(made.size(), 4u);
  for (const char* name :
       {"pixels.vectors", "pixels.written", "regions.vectors", "regions.written"}) {
    for (const auto& loss : made) {
      EXPECT_TRUE(loss->named_buffers()[name].allclose(made[0]->named_buffers()[name], 0, 1e-12))
          << name;
    }
  }
}

TEST(LossRanksTest, ARankWithoutValidPixelsCountsForNothing) {
  LossInputs whole = RandomInputs(4);
  whole.labels.slice(0, 0, 2).fill_(kIgnore);
  ExpectSame(RunAlone(whole, AllLosses()), RunRanks(whole, AllLosses(), {0, 2, 3, 4}));
}

// Its self-teacher's norms and connectors span the ranks.
TEST(LossRanksTest, FrskdIsTheSameOnOneAndThreeRanks) {
  const LossInputs whole = RandomInputs(4);
  for (const FrskdFeatures features :
       {FrskdFeatures::kAttention, FrskdFeatures::kFitNet, FrskdFeatures::kOverhaul}) {
    FrskdOptions options{
        .taps = {"aux", "aspp"}, .beta = 1, .warmup = 0, .features = features, .seed = 7};
    options.self_teacher = {.channels = {kClasses, kStudentWidth},
                            .num_classes = kClasses,
                            .width = 6,
                            .head_width = 8};
    const NamedLoss frskd = InDouble<FrskdLoss>("frskd", options);
    const StepOutcome alone = RunAlone(whole, {frskd});
    EXPECT_EQ(alone.gradients.count("frskd.self_teacher.classifier.0.weight"), 1u);
    ExpectSame(alone, RunRanks(whole, {frskd}, {0, 2, 3, 4}));
    ExpectSame(alone, RunRanks(whole, {frskd}, {0, 3, 3, 4}));  // one rank has no image
  }
}

TEST(LossRanksTest, ClassifiersLossesAreTheSameOnOneAndThreeRanks) {
  FrskdClassifierOptions options{.beta = 1, .features = FrskdFeatures::kFitNet, .seed = 7};
  options.self_teacher = {.channels = {3, 4}, .num_classes = kClasses, .width = 2};
  FrskdClassifierOptions with_sla = options;
  with_sla.sla = true;
  const NamedLoss plain = InDouble<FrskdClassifierLoss>("frskd_classifier", options);
  const NamedLoss rotating = InDouble<FrskdClassifierLoss>("frskd_classifier", with_sla);
  const NamedLoss sla = InDouble<SlaLoss>(
      "sla", SlaOptions{.tap = "c2", .channels = 4, .num_classes = kClasses, .seed = 7});
  LossInputs mixed = RandomImageInputs(5, false);
  mixed.mixed_labels = mixed.labels.roll({2}, {0});
  mixed.label_share = 0.4;
  const NamedLoss ce = {
      "ce",
      [] { return std::make_shared<CrossEntropyLoss>(CrossEntropyOptions{.aux_weight = 0}); }};
  for (const NamedLoss& named : {ce, plain}) {
    ExpectSame(RunAlone(mixed, {named}), RunRanks(mixed, {named}, {0, 2, 4, 5}));
  }
  const LossInputs rotated = RandomImageInputs(4, true);
  for (const NamedLoss& named : {sla, rotating}) {
    ExpectSame(RunAlone(rotated, {named}), RunRanks(rotated, {named}, {0, 2, 3, 4}));
  }
}

TEST(LossRanksTest, OneRankStopsAll) {
  const LossInputs whole = RandomInputs(3);
  const std::vector<NamedLoss> ce = {AllLosses()[0]};
  for (const auto& rank : RunRanks(whole, ce, {0, 1, 2, 3}, /*stopping_rank=*/1)) {
    EXPECT_TRUE(rank.result.stop);
  }
  for (const auto& rank : RunRanks(whole, ce, {0, 1, 2, 3})) EXPECT_FALSE(rank.result.stop);
}

TEST(LossSetTest, WeighsTermsAndNamesTapsAndParameters) {
  const std::vector<NamedLoss> all = AllLosses();
  const LossInputs inputs = RandomInputs(2);
  LossSet set({{.name = "ce", .loss = all[0].make(), .weight = 2},
               {.name = "proto",
                .loss = MakeI2ckd({.margin = 1}, I2ckdOptions::Mean::kBatch),
                .weight = 3,
                .schedule = LossSchedule::kAlw,
                .kind = LossKind::kRelation}});
  SingleProcessCollectives alone;
  const LossResult result = set.Compute(inputs, 1, 4, alone, false);
  EXPECT_EQ(result.weights, (std::map<std::string, double>{{"ce", 2}, {"proto", 2.25}}));
  EXPECT_NEAR(result.total_value, 2 * result.values.at("ce") + 2.25 * result.values.at("proto"),
              1e-12);
  EXPECT_NEAR(result.total.item<double>(), result.total_value, 1e-12);
  EXPECT_EQ(set.student_taps(), (std::vector<std::string>{"aspp", "aux", "logits"}));
  EXPECT_EQ(set.teacher_taps(), (std::vector<std::string>{"aspp"}));
  EXPECT_TRUE(set.named_parameters().contains("proto.align.weight"));
}

}  // namespace
}  // namespace reflux
