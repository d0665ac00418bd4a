"""Operations of class activation mapping (Zhou et al., CVPR 2016).

Nothing here imports anything else of this project.
"""

from ops.pooling import gap, gmp
