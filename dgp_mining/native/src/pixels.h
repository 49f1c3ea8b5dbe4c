#pragma once

#include "api.h"

namespace measure {

void sum_pixels(const PixelsArguments& arguments);

}  // namespace measure
