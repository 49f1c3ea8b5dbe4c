// Drives the C++ library through its C interface, for backends/test_cpu_sanitizers.py: random fields and awkward ones,
// on every instruction set of the machine. Buffers are exactly as long as the interface requires, so that a sanitiser
// sees the first byte beyond. Exits with 1 if an image is not finite or an instruction set gives other bits.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "api.h"

using namespace splat2d;

namespace {

using Floats = std::vector<float>;
std::mt19937 generator;

float uniform(float low, float high) { return std::uniform_real_distribution<float>(low, high)(generator); }
int whole(int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator); }
bool sometimes(int of) { return whole(1, of) == 1; }

constexpr int kSizes[][2] = {{1, 1}, {3, 5},  {4, 4},   {17, 23}, {5, 130}, {130, 5},
                             {0, 5}, {64, 1}, {65, 67}, {33, 30}, {7, 0},   {129, 18}};
constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kAwkward[] = {0.0f, -1.0f, 1e-15f, 1e-4f, 1e4f, 1e15f, -1e15f, 3e38f, kInfinity, kNaN};

float awkward() { return kAwkward[whole(0, 9)]; }

// Mean, Cholesky entries: usual, needle, huge, tiny, extremely correlated, far away, or anything at all.
void gaussian(int height, int width, bool anything, float* mean, float* l) {
  mean[0] = uniform(-0.2f, 1.2f) * width, mean[1] = uniform(-0.2f, 1.2f) * height;
  l[0] = uniform(0.2f, 4.0f), l[1] = uniform(-2.0f, 2.0f), l[2] = uniform(0.2f, 4.0f);
  switch (whole(0, 9)) {
    case 0: l[0] = 50.0f, l[2] = 0.05f; break;
    case 1: l[0] = 0.05f, l[2] = 50.0f; break;
    case 2: l[0] = l[2] = 1e5f; break;
    case 3: l[0] = l[2] = 1e-6f; break;
    case 4: l[1] = 100.0f * l[0], l[2] = 1e-3f; break;
    case 5: mean[whole(0, 1)] = sometimes(2) ? 1e15f : -1e9f; break;
    case 6: mean[0] = std::floor(mean[0]), mean[1] = std::floor(mean[1]); break;
    case 7: l[0] = l[2] = 1e15f; break;
  }
  if (anything && sometimes(8)) (sometimes(2) ? mean[whole(0, 1)] : l[whole(0, 2)]) = awkward();
}

struct Scene {
  int64_t batch, n;
  int channels, height, width, first_row, rows, threads;
  float cutoff;
  Floats means, cholesky, colors, grad;
  std::vector<int64_t> counts;

  explicit Scene(bool anything) {
    const auto& size = kSizes[whole(0, 11)];
    height = size[0], width = size[1];
    batch = whole(0, 3), n = sometimes(4) ? whole(500, 1100) : whole(0, 40), channels = whole(1, 8);
    threads = whole(1, 3), cutoff = sometimes(4) ? 12.0f : 3.33f;
    first_row = whole(0, height), rows = whole(0, height - first_row);
    if (sometimes(2)) first_row = 0, rows = height;
    means.resize(batch * n * 2), cholesky.resize(batch * n * 3), colors.resize(batch * n * channels);
    for (int64_t i = 0; i < batch * n; ++i) gaussian(height, width, anything, &means[2 * i], &cholesky[3 * i]);
    for (float& c : colors) c = uniform(-1, 1);
    grad.resize(batch * channels * height * width);
    for (float& g : grad) g = uniform(-1, 1);
    if (sometimes(2))
      for (int64_t b = 0; b < batch; ++b) counts.push_back(whole(anything ? -1 : 0, static_cast<int>(n)));
  }

  // Everything that comes out: statuses, image, gradients.
  Floats run() const {
    Floats image(batch * channels * rows * width), by_means(means.size()), by_cholesky(cholesky.size());
    Floats by_colors(colors.size());
    FieldArguments field = {batch, n, means.data(), cholesky.data(), colors.data()};
    field.counts = counts.empty() ? nullptr : counts.data();
    field.channels = channels, field.height = height, field.width = width;
    field.threads = threads, field.cutoff = cutoff;
    RenderArguments forward = {field, first_row, rows, image.data()};
    const int status = splat2d_render(&forward);
    RenderBackwardArguments backward = {field, grad.data(), by_means.data(), by_cholesky.data(), by_colors.data()};
    const int back = splat2d_render_backward(&backward);
    Floats all = {static_cast<float>(status), static_cast<float>(back)};
    if (status == 0)
      for (const float x : image)
        if (!std::isfinite(x)) std::printf("an image is not finite\n"), std::exit(1);
    for (const Floats* part : {&image, &by_means, &by_cholesky, &by_colors})
      all.insert(all.end(), part->begin(), part->end());
    return all;
  }
};

Floats run_fit(bool gaussianimage, int channels, int height, int width, int n, bool anything, unsigned seed) {
  generator.seed(seed);
  Floats target(channels * height * width), parameters((5 + channels) * n), first(parameters.size());
  Floats second(parameters.size()), rates;
  for (float& t : target) t = anything && sometimes(9) ? awkward() : uniform(0, 1);
  for (int i = 0; i < n; ++i) {
    float mean[2], l[3];
    gaussian(height, width, anything, mean, l);
    const float values[5] = {mean[0], mean[1], l[0], 0.1f * l[1], l[2]};
    for (int k = 0; k < 5 + channels; ++k) parameters[k * n + i] = k < 5 ? values[k] : uniform(0, 1);
  }
  constexpr int kIterations = 4;
  for (int k = 0; k < 3 * kIterations; ++k) rates.push_back(anything && sometimes(6) ? awkward() : 0.05f);
  std::vector<double> losses(kIterations);
  if (gaussianimage) {
    Floats state(4 * parameters.size());
    FitGaussianImageArguments f = {channels, height, width, n, 0, kIterations, 3.33f, {0.5f, 0.0f, 0.5f}};
    f.betas[0] = 0.98f, f.betas[1] = 0.92f, f.betas[2] = 0.99f, f.epsilon = 1e-8f;
    f.target = target.data(), f.rates = rates.data(), f.parameters = parameters.data(), f.state = state.data();
    f.losses = losses.data();
    splat2d_fit_gaussianimage(&f);
    return parameters;
  }
  FitFastArguments f = {channels, height, width, n, 0, kIterations, 3.33f, 0.4f, {0.8f, 0.98f}, 1e-4f, 0.0f};
  f.target = target.data(), f.rates = rates.data(), f.parameters = parameters.data();
  f.first = first.data(), f.second = second.data(), f.losses = losses.data();
  splat2d_fit_fast(&f);
  return parameters;
}

bool same(const Floats& a, const Floats& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i] && !(std::isnan(a[i]) && std::isnan(b[i]))) return false;
  return a.size() == b.size();
}

template <class F>
void on_each_instruction_set(const char* what, int number, F run) {
  Floats portable;
  for (int isa = 0; isa < 3; ++isa) {
    if (splat2d_set_isa(isa) != 0) continue;
    const Floats result = run();
    if (isa == 0) portable = result;
    if (!same(result, portable)) {
      std::printf("%s %d: instruction set %d gives other bits than the portable one\n", what, number, isa);
      std::exit(1);
    }
  }
}

}  // namespace

int main() {
  for (int number = 0; number < 300; ++number) {
    generator.seed(number);
    const Scene scene(number % 2);
    on_each_instruction_set("scene", number, [&] { return scene.run(); });
  }
  for (int number = 0; number < 150; ++number) {
    generator.seed(number);
    const auto& size = kSizes[whole(0, 11)];
    const int channels = whole(1, 8), n = sometimes(4) ? 300 : whole(0, 40);
    on_each_instruction_set("fit", number, [&] {
      return run_fit(number % 3 == 0, channels, size[0], size[1], n, number % 2, static_cast<unsigned>(number));
    });
  }
  std::printf("done\n");
}
