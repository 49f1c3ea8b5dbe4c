// The descriptors of a crop up to its spectrum; fitting/content.py says what they mean. Sums are in double, over the
// rows of each column (for gradients in groups of `block` rows), then over the columns.
#include "pixels.h"

#include "clones.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace measure {
namespace {

double total(const std::vector<double>& columns) {
  double sum = 0;
  for (const double column : columns) sum += column;
  return sum;
}

// The mean of the channels of each pixel; returns the mean of all.
double grey_of(const PixelsArguments& f, float* grey) {
  const int64_t width = f.width;
  const float channels = static_cast<float>(f.channels);
  std::vector<double> columns(width);
  for (int64_t y = 0; y < f.height; ++y) {
    const float* pixels = f.pixels + y * width * f.channels;
    float* row = grey + y * width;
    if (f.channels == 3) {
      for (int64_t x = 0; x < width; ++x)
        row[x] = (pixels[3 * x] + pixels[3 * x + 1] + pixels[3 * x + 2]) / channels;
    } else {
      for (int64_t x = 0; x < width; ++x) {
        float sum = pixels[f.channels * x];
        for (int c = 1; c < f.channels; ++c) sum += pixels[f.channels * x + c];
        row[x] = sum / channels;
      }
    }
    double* column = columns.data();
    for (int64_t x = 0; x < width; ++x) column[x] += row[x];
  }
  return total(columns) / static_cast<double>(f.height * width);
}

// Writes the windowed pixels; returns the sum of squared differences from the mean.
double window(const PixelsArguments& f, const float* grey, double mean) {
  const float rounded = static_cast<float>(mean);
  std::vector<double> columns(f.width);
  double* column = columns.data();
  for (int64_t y = 0; y < f.height; ++y) {
    const int64_t at = y * f.width;
    const float *row = grey + at, *weights = f.window + at;
    float* out = f.windowed + at;
    for (int64_t x = 0; x < f.width; ++x) {
      const double difference = row[x] - mean;
      column[x] += difference * difference;
      out[x] = (row[x] - rounded) * weights[x];
    }
  }
  return total(columns);
}

// The structure tensor's entries, summed over blocks; and the squares of Laplacians.
class Gradients {
 public:
  Gradients(const PixelsArguments& f, const float* grey)
      : f_(f), grey_(grey), width_(f.width - 2), xx_(width_), xy_(width_), yy_(width_), energy_(width_),
        curvature_(width_) {}

  void sum() {
    const int64_t height = f_.height - 2;
    for (int64_t y = 0; y < height; ++y) {
      add_row(y);
      const bool whole = (y + 1) % f_.block == 0;
      if (whole || y + 1 == height) close_blocks(whole);
    }
    f_.sums[1] = total(energy_), f_.sums[2] = total(curvature_);
    f_.sums[3] = differences_, f_.sums[4] = eigenvalues_;
  }

 private:
  void add_row(int64_t y) {
    const float *up = grey_ + y * f_.width + 1, *here = up + f_.width, *down = here + f_.width;
    double *xx = xx_.data(), *xy = xy_.data(), *yy = yy_.data(), *curvature = curvature_.data();
    for (int64_t x = 0; x < width_; ++x) {
      const float gx = (here[x + 1] - here[x - 1]) * 0.5f, gy = (down[x] - up[x]) * 0.5f;
      xx[x] += gx * gx;
      xy[x] += gx * gy;
      yy[x] += gy * gy;
    }
    for (int64_t x = 0; x < width_; ++x) {
      const float second_x = here[x + 1] - 2 * here[x] + here[x - 1];
      const float second_y = down[x] - 2 * here[x] + up[x];
      const float laplacian = second_x + second_y;
      curvature[x] += laplacian * laplacian;
    }
  }

  void close_blocks(bool whole) {
    for (int64_t x = 0; x < width_; ++x) energy_[x] += xx_[x] + yy_[x];
    for (int64_t left = 0; whole && left + f_.block <= width_; left += f_.block) {
      double xx = 0, xy = 0, yy = 0;
      for (int64_t x = left; x < left + f_.block; ++x) xx += xx_[x], xy += xy_[x], yy += yy_[x];
      differences_ += std::sqrt((xx - yy) * (xx - yy) + (2 * xy) * (2 * xy));
      eigenvalues_ += xx + yy;
    }
    for (auto* columns : {&xx_, &xy_, &yy_}) std::fill(columns->begin(), columns->end(), 0.0);
  }

  const PixelsArguments& f_;
  const float* grey_;
  const int64_t width_;
  std::vector<double> xx_, xy_, yy_, energy_, curvature_;
  double differences_ = 0, eigenvalues_ = 0;
};

// Absolute responses of the noise filter, as the bits of floats: these are in the order of their values.
std::vector<uint32_t> noise_responses(const PixelsArguments& f, const float* grey) {
  const int64_t height = f.height - 2, width = f.width - 2;
  std::vector<uint32_t> found(height * width);
  for (int64_t y = 0; y < height; ++y) {
    const float *up = grey + y * f.width + 1, *here = up + f.width, *down = here + f.width;
    uint32_t* out = found.data() + y * width;
    for (int64_t x = 0; x < width; ++x) {
      const float above = up[x + 1] - 2 * up[x] + up[x - 1];
      const float middle = here[x + 1] - 2 * here[x] + here[x - 1];
      const float below = down[x + 1] - 2 * down[x] + down[x - 1];
      const float response = std::fabs(below - 2 * middle + above);
      std::memcpy(out + x, &response, sizeof response);
    }
  }
  return found;
}

constexpr int kDigits = 11;  // bits that are counted at once
constexpr int kTables = 4;   // of counts, in turns: values in a row are often equal, and would wait for each other

uint32_t digit_of(uint32_t value, int shift) { return value >> shift & ((1u << kDigits) - 1); }

std::vector<int64_t> count_digits(const std::vector<uint32_t>& values, int shift) {
  std::vector<uint32_t> tables(size_t{kTables} << kDigits);
  for (size_t i = 0; i < values.size(); ++i) ++tables[(i % kTables << kDigits) + digit_of(values[i], shift)];
  std::vector<int64_t> counts(size_t{1} << kDigits);
  for (size_t k = 0; k < tables.size(); ++k) counts[k % counts.size()] += tables[k];
  return counts;
}

// Keeps the values in a range around the median of a sample, if the middle ones of all are among them; returns how many
// smaller ones were dropped.
int64_t narrow(std::vector<uint32_t>* values) {
  constexpr int64_t kSample = 1024, kHalf = kSample / 2, kMargin = 96;  // 6 standard deviations of a sample's median
  const int64_t number = static_cast<int64_t>(values->size());
  if (number < 8 * kSample) return 0;
  std::vector<uint32_t> sample(kSample);
  for (int64_t i = 0; i < kSample; ++i) sample[i] = (*values)[i * number / kSample];
  std::nth_element(sample.begin(), sample.begin() + (kHalf - kMargin), sample.end());
  const uint32_t low = sample[kHalf - kMargin];
  std::nth_element(sample.begin(), sample.begin() + (kHalf + kMargin), sample.end());
  const uint32_t span = sample[kHalf + kMargin] - low;
  std::vector<uint32_t> inside(number);
  int64_t below = 0, kept = 0;
  for (const uint32_t value : *values) {
    inside[kept] = value;
    kept += value - low <= span;  // wraps around below `low`
    below += value < low;
  }
  if ((number - 1) / 2 < below || number / 2 >= below + kept) return 0;
  inside.resize(kept);
  values->swap(inside);
  return below;
}

// The two middle values, found by their leading bits; the same one twice for an odd number.
void find_middle(std::vector<uint32_t> values, float* middle) {
  int64_t rank = (static_cast<int64_t>(values.size()) - 1) / 2;
  const bool even = values.size() % 2 == 0;
  rank -= narrow(&values);
  uint32_t above = UINT32_MAX;  // the smallest value that was found to be above the middle
  for (int shift = 21;; shift = std::max(shift - kDigits, 0)) {
    const std::vector<int64_t> counts = count_digits(values, shift);
    uint32_t digit = 0;
    while (rank >= counts[digit]) rank -= counts[digit++];
    if (counts[digit] < static_cast<int64_t>(values.size())) {
      size_t kept = 0;
      for (const uint32_t value : values) {
        const uint32_t other = digit_of(value, shift);
        if (other > digit) above = std::min(above, value);
        values[kept] = value;
        kept += other == digit;
      }
      values.resize(kept);
    }
    if (shift == 0) break;
  }
  const uint32_t low = values[0];
  const uint32_t high = even && rank + 1 == static_cast<int64_t>(values.size()) ? above : low;
  std::memcpy(middle, &low, sizeof low);
  std::memcpy(middle + 1, &high, sizeof high);
}

}  // namespace

MEASURE_CLONES void sum_pixels(const PixelsArguments& f) {
  std::vector<float> grey(f.height * f.width);
  const double mean = grey_of(f, grey.data());
  f.sums[0] = window(f, grey.data(), mean);
  Gradients(f, grey.data()).sum();
  find_middle(noise_responses(f, grey.data()), f.middle);
}

}  // namespace measure
