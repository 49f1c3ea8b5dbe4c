"""How the prior depends on the content of crops: flat, edges or texture.

    python workflows/studies/content.py
    python workflows/studies/content.py --images DIV2K --crops 2000 --side 256  # full size

The third of the crops with the smallest gradients is called flat. Of the others, those whose gradients within
8x8 pixels are more aligned than the median crop's count as edges, the rest as texture
(dgp_mining.fitting.content).
"""

import numpy as np
from study import Variant, fit_variants, parse, print_rows, read_crops, summarise, write

from dgp_mining.fitting.content import CONTENT, measure_content


def main() -> None:
    options = parse(__doc__, "content", crops=60, side=64)
    crops = read_crops(options)
    described = np.array([measure_content(crop.pixels) for crop in crops])
    gradient, coherence = (described[:, CONTENT.index(name)] for name in ("gradient", "coherence"))
    flat = gradient <= np.quantile(gradient, 1 / 3)
    edged = ~flat & (coherence > np.median(coherence[~flat]))
    ((_, fitted),) = fit_variants([Variant("all")], crops, options.quick)
    kinds = {"all": np.ones(len(crops), bool), "flat": flat, "edges": edged, "texture": ~flat & ~edged}
    rows = [
        summarise(Variant(name), [one for one, is_one in zip(fitted, chosen, strict=True) if is_one])
        for name, chosen in kinds.items()
    ]
    print_rows(rows)
    write(options, rows, "")


if __name__ == "__main__":
    main()
