"""The checks of battery.py: is what slafdb's own readers and training loaders make of a dataset what it was made from?"""
import sys, warnings, traceback, threading, time, os, shutil
warnings.filterwarnings('ignore')
import numpy as np, pandas as pd, scipy.sparse as sp, polars as pl
from loguru import logger; logger.remove()
import contextlib, io
from slaf.core.slaf import SLAFArray
from slaf.integrations.anndata import LazyAnnData

def dense_from_long(df, cells, genes):
    ci={c:i for i,c in enumerate(cells)}; gi={g:i for i,g in enumerate(genes)}
    M=np.zeros((len(cells),len(genes)))
    for c,g,v in df.iter_rows(): 
        M[ci[c],gi[g]]+=0 if v is None else v
    return M

def battery(p, X, cells, genes, obs=None, layers=None, obsm=None, varm=None, ml=True, verbose=False, only=None, timeout=8):
    """returns {test: 'ok' | 'WRONG ...' | 'ERR ...'}"""
    X=np.asarray(X.todense() if sp.issparse(X) else X, dtype=float); n,g=X.shape
    R={}
    def T(name):
        def deco(f):
            if only and name not in only: return f
            buf=io.StringIO()
            try:
                with contextlib.redirect_stdout(buf), contextlib.redirect_stderr(buf):
                    r=f()
                R[name]='ok' if r is None or r is True else 'WRONG '+str(r)[:160]
            except BaseException as e:
                R[name]='ERR '+type(e).__name__+': '+str(e).strip().replace('\n',' ')[:200]
                if verbose: traceback.print_exc()
            return f
        return deco
    def eq(a,b,tol=1e-4):
        a=np.asarray(a,dtype=float); b=np.asarray(b,dtype=float)
        if a.shape!=b.shape: return f'shape {a.shape} vs {b.shape}'
        a2=np.nan_to_num(a,nan=-999); b2=np.nan_to_num(b,nan=-999)
        return True if np.allclose(a2,b2,rtol=tol,atol=tol) else f'maxdiff {np.abs(a2-b2).max():.4g} sum {a2.sum():.6g} vs {b2.sum():.6g}'
    S={}
    @T('open')
    def _():
        S['s']=SLAFArray(p); S['s'].wait_for_metadata(); 
        assert S['s'].shape==(n,g), S['s'].shape
    if 's' not in S: 
        if 'open' in R: return R
        with contextlib.redirect_stdout(io.StringIO()): S['s']=SLAFArray(p); 
        try: S['s'].wait_for_metadata()
        except Exception as e: pass
    s=S['s']
    @T('obs/var')
    def _():
        assert s.obs['cell_id'].to_list()==list(cells), 'cell_id'; assert s.var['gene_id'].to_list()==list(genes),'gene_id'
        if obs is not None:
            for c in obs:
                a=pd.Series(s.obs[c].to_list()); b=pd.Series(list(obs[c]))
                ok=all((pd.isna(x) and pd.isna(y)) or (not pd.isna(x) and not pd.isna(y) and x==y) for x,y in zip(a,b))
                assert ok, (c, a[:4].tolist(), b[:4].tolist())
    @T('query_count')
    def _(): 
        c=s.query('SELECT COUNT(*) AS c, SUM(value) AS v FROM expression'); v=c['v'][0] or 0
        return True if abs(float(v)-X.sum())<1e-3*max(1,X.sum()) else f'{c.rows()} vs {X.sum()}'
    @T('query_join')
    def _():
        q=s.query('SELECT c.cell_id, SUM(e.value) AS v FROM cells c JOIN expression e ON c.cell_integer_id = e.cell_integer_id JOIN genes gg ON e.gene_integer_id = gg.gene_integer_id GROUP BY c.cell_id')
        d=dict(q.iter_rows()); return eq([d.get(c,0) for c in cells], X.sum(1))
    @T('query_where')
    def _():
        q=s.query('SELECT * FROM expression WHERE cell_integer_id = 3 AND gene_integer_id >= 1'); return eq(sorted(q['value'].to_list()), sorted(X[3,1:][X[3,1:]!=0]))
    @T('query_value_gt')
    def _():
        q=s.query('SELECT * FROM expression WHERE value > 2'); return eq(len(q), (X>2).sum())
    @T('query_cell_id')
    def _():
        q=s.query(f"SELECT * FROM cells WHERE cell_id = '{cells[3]}'"); return eq(len(q),1)
    if obs is not None and 'grp' in obs:
        @T('query_cells_str')
        def _(): return eq(len(s.query("SELECT * FROM cells WHERE grp = 'b'")), sum(v=='b' for v in obs['grp']))
        @T('query_cells_num')
        def _(): return eq(len(s.query("SELECT * FROM cells WHERE cnt > 5 AND score <= 3")), ((obs['cnt']>5)&(obs['score']<=3)).sum())
        @T('query_cells_bool')
        def _(): return eq(len(s.query("SELECT * FROM cells WHERE flag")), obs['flag'].sum())
        @T('filter_cells')
        def _():
            r=s.filter_cells(grp='b'); exp=[c for c,v in zip(cells,obs['grp']) if v=='b']
            return True if r['cell_id'].to_list()==exp else f'{len(r)} vs {len(exp)}'
        @T('filter_cells_num')
        def _():
            r=s.filter_cells(score='>=2'); exp=[c for c,v in zip(cells,obs['score']) if v>=2]
            return True if r['cell_id'].to_list()==exp else f'{len(r)} vs {len(exp)}'
        @T('filter_cells_list')
        def _():
            r=s.filter_cells(grp=['a','b']); exp=[c for c,v in zip(cells,obs['grp']) if v in('a','b')]
            return True if r['cell_id'].to_list()==exp else f'{len(r)} vs {len(exp)}'
    @T('filter_genes')
    def _(): 
        r=s.filter_genes(gene_id=genes[2]); return True if len(r)==1 else len(r)
    @T('get_cell_expr')
    def _():
        ii=[0,1,n//2-1,n-2]; pick=[cells[i] for i in ii]
        return eq(dense_from_long(s.get_cell_expression(pick),pick,genes), X[ii])
    @T('get_gene_expr')
    def _():
        pick=[genes[0],genes[g-1]]
        return eq(dense_from_long(s.get_gene_expression(pick),cells,pick), X[:,[0,g-1]])
    @T('submatrix_all')
    def _(): return eq(dense_from_long(s.get_submatrix(),cells,genes), X)
    @T('submatrix_slice')
    def _(): return eq(dense_from_long(s.get_submatrix(slice(n//2,n),slice(1,g-1)),cells[n//2:],genes[1:g-1]), X[n//2:,1:g-1])
    @T('submatrix_list')
    def _():
        a=[1,n-2]; b=[0,g-2]
        return eq(dense_from_long(s.get_submatrix(a,b),[cells[i] for i in a],[genes[i] for i in b]), X[np.ix_(a,b)])
    L=LazyAnnData(s)
    @T('lazy_names')
    def _():
        assert list(L.obs_names)==list(cells); assert list(L.var_names)==list(genes)
    @T('lazy_X')
    def _(): return eq(L.X.compute().toarray(),X)
    @T('lazy_X_nofrag')
    def _(): return eq(L.X.compute(fragments=False).toarray(),X)
    @T('lazy_X_frag')
    def _(): return eq(L.X.compute(fragments=True).toarray(),X)
    @T('lazy_slice')
    def _(): return eq(L[2:n-1,1:g-1].X.compute().toarray(),X[2:n-1,1:g-1])
    @T('lazy_obs')
    def _():
        df=L.obs._get_dataframe(); assert list(df.index)==list(cells)
        L.var._get_dataframe(); 
        if obs is not None:
            for c in obs:
                a=list(L.obs[c]); ok=all((pd.isna(x) and pd.isna(y)) or (not pd.isna(x) and not pd.isna(y) and x==y) for x,y in zip(a,obs[c])); assert ok,(c,a[:4])
    @T('lazy_mean0')
    def _(): return eq(np.asarray(L.X.mean(axis=0)).ravel(),X.mean(0))
    @T('lazy_sum1')
    def _(): return eq(np.asarray(L.X.sum(axis=1)).ravel(),X.sum(1))
    @T('lazy_var0')
    def _(): return eq(np.asarray(L.X.var(axis=0)).ravel(),X.var(0,ddof=0),1e-2)
    @T('scanpy_norm_log1p')
    def _():
        from slaf.integrations import scanpy as ss
        L2=LazyAnnData(s); A=ss.pp if hasattr(ss,'pp') else ss
        r=A.normalize_total(L2,target_sum=1e4,inplace=False); r=A.log1p(r,inplace=False)
        Y=X.copy(); t=Y.sum(1,keepdims=True); t[t==0]=1; Y=np.log1p(Y/t*1e4)
        return eq(r.X.compute().toarray(),Y,1e-3)
    @T('to_anndata')
    def _():
        a=L.get_adata() if hasattr(L,'get_adata') else L.compute()
        assert list(a.obs_names)==list(cells); return eq(a.X.toarray() if sp.issparse(a.X) else a.X,X)
    if layers:
        for k,v in layers.items():
            v=np.asarray(v.todense() if sp.issparse(v) else v,dtype=float)
            @T(f'layer:{k}')
            def _():
                assert k in L.layers.keys(), L.layers.keys()
                return eq(L.layers[k].compute().toarray(),v)
            @T(f'layer_slice:{k}')
            def _(): return eq(L[1:n-1,1:g].layers[k].compute().toarray(),v[1:n-1,1:g])
            @T(f'layer_submatrix:{k}')
            def _(): return eq(dense_from_long(s.get_submatrix(slice(0,n//2),table_name='layers',layer_name=k),cells[:n//2],genes),v[:n//2])
    if obsm:
        for k,v in obsm.items():
            @T(f'obsm:{k}')
            def _():
                assert k in L.obsm.keys(), L.obsm.keys()
                return eq(L.obsm[k],v)
    if varm:
        for k,v in varm.items():
            @T(f'varm:{k}')
            def _(): return eq(L.varm[k],v)
    if ml:
        from slaf.ml.datasets import PrefetchBatchProcessor, RawPrefetchBatch
        from slaf.ml.samplers import create_shuffle, ShuffleType
        from slaf.ml.tokenizers import GeneformerTokenizer, ScGPTTokenizer
        def run_loader(tokenizer_type=None, max_genes=16, **k):
            out={'cells':[], 'dfs':[]}; err=[]; stop=[False]
            def go():
                try:
                    tok=None
                    if tokenizer_type: tok=(GeneformerTokenizer if tokenizer_type=='geneformer' else ScGPTTokenizer)(slaf_array=s,max_genes=max_genes)
                    pr=PrefetchBatchProcessor(s,create_shuffle(ShuffleType.RANDOM),tok,verbose=False,batch_size=8,**k)
                    while not stop[0]:
                        try: b=pr.load_prefetch_batch()
                        except StopIteration: break
                        if isinstance(b,RawPrefetchBatch): out['dfs']+=b.batch_dfs
                        else: out['cells']+=list(b.cell_integer_ids)
                except BaseException as e: err.append(e)
            t=threading.Thread(target=go,daemon=True); t.start(); t.join(timeout)
            hung=t.is_alive(); stop[0]=True
            return out,err,hung
        nz=[i for i in range(n) if X[i].any()]
        for nm,k in {'ml_raw_mos':dict(raw_mode=True,prefetch_batch_size=1000),'ml_raw_frag':dict(raw_mode=True,use_mixture_of_scanners=False,by_fragment=True),'ml_raw_seq':dict(raw_mode=True,use_mixture_of_scanners=False,by_fragment=False)}.items():
            @T(nm)
            def _():
                o,e,h=run_loader(**k)
                if e: raise e[0]
                M=np.zeros((n,g)); seen=[]
                for d in o['dfs']:
                    seen+=d['cell_integer_id'].unique().to_list()
                    np.add.at(M,(d['cell_integer_id'].to_numpy().astype(int),d['gene_integer_id'].to_numpy().astype(int)),d['value'].to_numpy().astype(float))
                r=eq(M,X)
                msg=[]
                if h: msg.append('HANG(%ds)'%timeout)
                if r is not True: msg.append(str(r))
                if sorted(seen)!=nz: msg.append(f'cells seen {len(seen)} uniq {len(set(seen))} expected {len(nz)}')
                return '; '.join(msg) if msg else True
        for nm,k in {'ml_tok_geneformer':dict(tokenizer_type='geneformer',max_genes=16,prefetch_batch_size=1000),'ml_tok_scgpt':dict(tokenizer_type='scgpt',max_genes=16,prefetch_batch_size=1000)}.items():
            @T(nm)
            def _():
                o,e,h=run_loader(**k)
                if e: raise e[0]
                msg=[]
                if h: msg.append('HANG')
                if sorted(o['cells'])!=nz: msg.append(f'cells {len(o["cells"])} uniq {len(set(o["cells"]))} expected {len(nz)}')
                return '; '.join(msg) if msg else True
    return R
def show(name,R):
    bad={k:v for k,v in R.items() if v!='ok'}
    print(f'### {name}: {len(R)-len(bad)}/{len(R)} ok'+(''.join(f'\n    {k}: {v}' for k,v in bad.items())),flush=True)
