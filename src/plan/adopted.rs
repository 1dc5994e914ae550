//! Plan of a job that adds no rows but describes a dataset as other programs have left it.

use std::collections::BTreeMap;

use super::{
    Base, BaseMatrix, BaseSurvey, Duplicates, GenePlan, Join, KnownValues, PLAN_VERSION, Plan,
    PlannedLayer, PlannedPairs, ValuePlan,
};

impl Plan {
    /// Returns the plan of such a job, where uns.json has this hash.
    pub fn adopt(
        base: &BaseSurvey,
        known: KnownValues,
        uns: Option<String>,
        fragment_rows: u64,
    ) -> Self {
        let pairs = |matrix: &BaseMatrix| PlannedPairs {
            name: matrix.name.clone(),
            written_as: matrix.written_as.clone(),
            value: ValuePlan::kept(matrix.value_type),
        };
        let layer = |matrix: &BaseMatrix| PlannedLayer {
            name: matrix.name.clone(),
            written_as: matrix.written_as.clone(),
            value: ValuePlan::kept(matrix.value_type),
            scale: matrix.scale,
        };
        Plan {
            plan_version: PLAN_VERSION,
            base: Some(Base {
                known,
                uns,
                ..base.base.clone()
            }),
            inputs: Vec::new(),
            cells: base.base.cells,
            genes: base.base.genes,
            gene_plan: GenePlan {
                join: Join::Exact,
                key: base.gene_key.clone().unwrap_or_default(),
                keys: None,
                ids: None,
                learned_ids: BTreeMap::new(),
                id_versions: Default::default(),
            },
            dtypes: base.dtypes,
            cell_type: base.cell_type,
            gene_type: base.gene_type,
            layer_ids: base.layer_ids,
            value: ValuePlan::kept(base.value_type),
            layers: base.layers.iter().map(layer).collect(),
            compression: base.compression,
            fragment_rows,
            obs: base.obs.clone(),
            var: base.var.clone(),
            obsm: base.obsm.clone(),
            varm: base.varm.clone(),
            obsp: base.obsp.iter().map(pairs).collect(),
            varp: Vec::new(),
            duplicate_sources: Duplicates::default(),
            mixed_scales: Default::default(),
            same_counts: Default::default(),
            uns: false,
            shards: Vec::new(),
            frames: Vec::new(),
        }
    }
}
