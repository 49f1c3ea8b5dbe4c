// The baseline: rendering sums of 2D Gaussians, and fitting them, in the most direct way. Float32, one thread,
// scalar loops over each Gaussian's bounding box, expf, no intrinsics; vectorising is left to the compiler.
// RGB, interleaved: means [N][2], Cholesky factors [N][3], colours [N][3], images [H][W][3].
#include <algorithm>
#include <cmath>
#include <vector>

namespace {

struct Footprint {
  int left, right, top, bottom;    // pixels [left, right) x [top, bottom) around the ellipse
  float sxx_inverse, sxy_inverse, syy_inverse;
};

Footprint footprint(const float* mean, const float* l, int height, int width, float cutoff) {
  const float reach_x = cutoff * l[0], reach_y = cutoff * std::sqrt(l[1] * l[1] + l[2] * l[2]);
  Footprint f;
  f.left = std::max(0, static_cast<int>(std::ceil(mean[0] - reach_x - 0.5f)));
  f.right = std::min(width, static_cast<int>(std::floor(mean[0] + reach_x - 0.5f)) + 1);
  f.top = std::max(0, static_cast<int>(std::ceil(mean[1] - reach_y - 0.5f)));
  f.bottom = std::min(height, static_cast<int>(std::floor(mean[1] + reach_y - 0.5f)) + 1);
  const float determinant = l[0] * l[0] * l[2] * l[2];
  f.sxx_inverse = (l[1] * l[1] + l[2] * l[2]) / determinant;
  f.sxy_inverse = -l[0] * l[1] / determinant;
  f.syy_inverse = l[0] * l[0] / determinant;
  return f;
}

// Call f(pixel, dx, dy, weight) for each pixel of a Gaussian's footprint.
template <class F>
void for_each_pixel(const float* mean, const float* l, int height, int width, float cutoff, F f) {
  const Footprint box = footprint(mean, l, height, width, cutoff);
  for (int y = box.top; y < box.bottom; ++y) {
    const float dy = y + 0.5f - mean[1];
    for (int x = box.left; x < box.right; ++x) {
      const float dx = x + 0.5f - mean[0];
      const float q = box.sxx_inverse * dx * dx + 2.0f * box.sxy_inverse * dx * dy + box.syy_inverse * dy * dy;
      if (q <= cutoff * cutoff) f(y * width + x, dx, dy, std::exp(-0.5f * q));
    }
  }
}

void forward(int n, const float* means, const float* cholesky, const float* colors, int height, int width,
             float cutoff, float* out) {
  std::fill(out, out + 3 * height * width, 0.0f);
  for (int i = 0; i < n; ++i) {
    const float* color = colors + 3 * i;
    for_each_pixel(means + 2 * i, cholesky + 3 * i, height, width, cutoff, [&](int p, float, float, float weight) {
      for (int c = 0; c < 3; ++c) out[3 * p + c] += color[c] * weight;
    });
  }
}

void backward(int n, const float* means, const float* cholesky, const float* colors, int height, int width,
              float cutoff, const float* grad, float* grad_means, float* grad_cholesky, float* grad_colors) {
  for (int i = 0; i < n; ++i) {
    const float *l = cholesky + 3 * i, *color = colors + 3 * i;
    float red = 0, green = 0, blue = 0, u1 = 0, v1 = 0, uu = 0, uv = 0, vv = 0;
    for_each_pixel(means + 2 * i, l, height, width, cutoff, [&](int p, float dx, float dy, float weight) {
      const float* g = grad + 3 * p;
      red += weight * g[0], green += weight * g[1], blue += weight * g[2];
      const float term = weight * (color[0] * g[0] + color[1] * g[1] + color[2] * g[2]);
      const float u = dx / l[0], v = (dy - l[1] * u) / l[2];
      u1 += term * u, v1 += term * v;
      uu += term * u * u, uv += term * u * v, vv += term * v * v;
    });
    grad_colors[3 * i] = red, grad_colors[3 * i + 1] = green, grad_colors[3 * i + 2] = blue;
    const float ratio = l[1] / l[2];
    grad_means[2 * i] = (u1 - ratio * v1) / l[0];
    grad_means[2 * i + 1] = v1 / l[2];
    grad_cholesky[3 * i] = (uu - ratio * uv) / l[0];
    grad_cholesky[3 * i + 1] = uv / l[2];
    grad_cholesky[3 * i + 2] = vv / l[2];
  }
}

struct Adam {
  std::vector<float> first, second;
  explicit Adam(int size) : first(size), second(size) {}
  void step(int number, float rate, const std::vector<float>& gradient, float* parameters) {
    const float beta1 = 0.8f, beta2 = 0.98f, epsilon = 1e-4f;
    const float correct1 = 1 / (1 - std::pow(beta1, number)), correct2 = 1 / (1 - std::pow(beta2, number));
    for (size_t k = 0; k < gradient.size(); ++k) {
      first[k] = beta1 * first[k] + (1 - beta1) * gradient[k];
      second[k] = beta2 * second[k] + (1 - beta2) * gradient[k] * gradient[k];
      parameters[k] -= rate * first[k] * correct1 / (std::sqrt(second[k] * correct2) + epsilon);
    }
  }
};

}  // namespace

extern "C" {

void baseline_forward(int n, const float* means, const float* cholesky, const float* colors, int height, int width,
                       float cutoff, float* out) {
  forward(n, means, cholesky, colors, height, width, cutoff, out);
}

void baseline_backward(int n, const float* means, const float* cholesky, const float* colors, int height, int width,
                        float cutoff, const float* grad, float* grad_means, float* grad_cholesky,
                        float* grad_colors) {
  backward(n, means, cholesky, colors, height, width, cutoff, grad, grad_means, grad_cholesky, grad_colors);
}

// Adam on the sum of squared errors from `target`, in place; `rates` [iterations][3] of means, factors, colours.
void baseline_fit(int n, float* means, float* cholesky, float* colors, int height, int width, float cutoff,
                   const float* target, const float* rates, int iterations, float min_sigma) {
  std::vector<float> image(3 * height * width), by_means(2 * n), by_cholesky(3 * n), by_colors(3 * n);
  Adam of_means(2 * n), of_cholesky(3 * n), of_colors(3 * n);
  for (int step = 0; step < iterations; ++step) {
    forward(n, means, cholesky, colors, height, width, cutoff, image.data());
    for (size_t p = 0; p < image.size(); ++p) image[p] -= target[p];
    backward(n, means, cholesky, colors, height, width, cutoff, image.data(), by_means.data(), by_cholesky.data(),
             by_colors.data());
    of_means.step(step + 1, rates[3 * step], by_means, means);
    of_cholesky.step(step + 1, rates[3 * step + 1], by_cholesky, cholesky);
    of_colors.step(step + 1, rates[3 * step + 2], by_colors, colors);
    for (int i = 0; i < n; ++i) {
      cholesky[3 * i] = std::max(cholesky[3 * i], min_sigma);
      cholesky[3 * i + 2] = std::max(cholesky[3 * i + 2], min_sigma);
    }
  }
}
}
